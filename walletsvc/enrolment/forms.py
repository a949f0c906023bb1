"""What somebody writes into the form to join, and what is wrong with it: everything at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final, TypeVar

import orjson
from sqlmodel import Session

from walletsvc.core.errors import FieldError, InputError, wrong
from walletsvc.enrolment.settings import FIELDS, Presence, Rules
from walletsvc.merchants.rules import check_text
from walletsvc.people.consents import service as consents
from walletsvc.people.consents.models import ConsentChannel, ConsentText, Purpose
from walletsvc.people.rules import check_email, normalise_phone
from walletsvc.people.service import check_birthday
from walletsvc.programmes.models import Programme

NAME_LENGTH: Final = 80
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ApplicationForm:
    """A form as it was typed. `phone` as people write it; consents are named by the public ids of
    the texts that were shown: without `data_text` nobody can join. `advertising_text` counts for
    the channels that were ticked."""

    phone: str
    first_name: str
    last_name: str = ""
    birthday: date | None = None
    email: str | None = None
    data_text: str | None = None
    advertising_text: str | None = None
    channels: Sequence[ConsentChannel] = ()
    plastic_number: str = ""


@dataclass(frozen=True, slots=True)
class Agreed:
    """A text that a person agrees to; to advertising by each of the channels."""

    text: ConsentText
    channels: Sequence[ConsentChannel] = ()


def check(
    session: Session, programme: Programme, rules: Rules, form: ApplicationForm, now: datetime
) -> ApplicationForm:
    """The form tidied, its phone in E.164; what the programme does not ask for is left out.

    Raises one InputError that names every field with something wrong.
    """
    problems: list[FieldError] = []

    def tried(do: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return do()
        except InputError as error:
            problems.extend(error.fields)
            return otherwise

    asked = {name for name in FIELDS if rules.fields[name] is not Presence.HIDDEN}
    tidy = ApplicationForm(
        phone=tried(lambda: normalise_phone(form.phone), ""),
        first_name=tried(lambda: check_text("first_name", form.first_name, NAME_LENGTH), ""),
        last_name=tried(
            lambda: check_text("last_name", form.last_name, NAME_LENGTH, required=False), ""
        )
        if "last_name" in asked
        else "",
        birthday=form.birthday if "birthday" in asked else None,
        email=tried(lambda: check_email(form.email or ""), form.email)
        if "email" in asked and form.email
        else None,
        data_text=form.data_text,
        advertising_text=form.advertising_text if form.channels else None,
        channels=tuple(dict.fromkeys(form.channels)),
        plastic_number=form.plastic_number.strip()[:NAME_LENGTH],
    )
    tried(lambda: check_birthday(tidy.birthday, now), None)
    named = {problem.field for problem in problems}
    missing = [
        name
        for name in FIELDS
        if rules.fields[name] is Presence.REQUIRED and not getattr(tidy, name)
    ]
    problems.extend(
        FieldError(name, "must not be empty", "required") for name in missing if name not in named
    )
    nothing: list[Agreed] = []
    tried(lambda: agreed(session, programme, tidy, now), nothing)
    if problems:
        whole = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
        raise InputError(f"{whole}.", tuple(problems))
    return tidy


def agreed(
    session: Session, programme: Programme, form: ApplicationForm, now: datetime
) -> list[Agreed]:
    """What the form agrees to; raises InputError for a text that is none or was replaced."""
    if not form.data_text:
        raise wrong("data_text", "is needed: nobody can join without it", "required")
    found = [
        Agreed(agreed_text(session, programme, form.data_text, Purpose.DATA, "data_text", now))
    ]
    if form.channels:
        field = "advertising_text"
        text = agreed_text(
            session, programme, form.advertising_text or "", Purpose.ADVERTISING, field, now
        )
        found.append(Agreed(text, form.channels))
    return found


def agreed_text(
    session: Session, programme: Programme, text: str, purpose: Purpose, field: str, now: datetime
) -> ConsentText:
    """The programme's text with this public id, if it can still be agreed to; raises InputError
    naming `field`."""
    found = consents.find_text(session, programme.organisation_id, text)
    if found is None or found.purpose is not purpose:
        raise wrong(field, "is not a text of this kind", "unknown")
    if found.retired_at is not None and found.retired_at + consents.OUTDATED_AFTER < now:
        raise wrong(field, "was replaced by a newer one: please read that", "outdated")
    return found


def packed(form: ApplicationForm) -> str:
    """The form as it is kept; the phone lies beside it."""
    return orjson.dumps(replace(form, phone="")).decode()


def unpacked(text: str, phone: str) -> ApplicationForm:
    """The form that was kept."""
    values: dict[str, Any] = orjson.loads(text)
    birthday = values.pop("birthday")
    return ApplicationForm(
        **values
        | {
            "phone": phone,
            "birthday": date.fromisoformat(birthday) if birthday else None,
            "channels": tuple(ConsentChannel(each) for each in values["channels"]),
        }
    )
