"""How a programme takes people in: who may come, what is asked, what is wanted before it counts."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.errors import Refused, wrong
from walletsvc.enrolment.models import EnrolmentSettings
from walletsvc.merchants.rules import check_text
from walletsvc.messaging.proving.models import Route
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.storage.rows import Read

LANGUAGES: Final = ("ru", "en")
TILL_TEXT_LENGTH: Final = 300


class Presence(enum.StrEnum):
    """Whether the form has a field, and whether it may stay empty."""

    HIDDEN = "hidden"
    OPTIONAL = "optional"
    REQUIRED = "required"


FIELDS: Final = ("last_name", "birthday", "email")
_FIELDS: Final = dict.fromkeys(FIELDS, Presence.OPTIONAL) | {"email": Presence.HIDDEN}


@dataclass(frozen=True, slots=True)
class Rules:
    """How one programme takes people in; see `models.EnrolmentSettings` for what each says.

    `verified_only`: a card earns and spends nothing before its holder has proved a phone.
    """

    open: bool = False
    verified_only: bool = False
    unproven: bool = True
    card_link: bool = True
    fields: Mapping[str, Presence] = field(default_factory=lambda: dict(_FIELDS))
    routes: Sequence[Route] = (Route.SMS, Route.CALL)
    till_text: Mapping[str, str] = field(default_factory=dict)


DEFAULTS: Final = Rules()
_OF: Final = Read(EnrolmentSettings, "WHERE programme_id = :programme")


def of(session: Session, programme: Programme) -> Rules:
    """How the programme takes people in at this moment."""
    row = _OF.first(session, programme=programme.id)
    if row is None:
        return Rules(verified_only=programme.verified_only)
    return Rules(
        open=row.open,
        verified_only=programme.verified_only,
        unproven=row.unproven,
        card_link=row.card_link,
        fields={name: Presence(row.fields.get(name, _FIELDS[name])) for name in FIELDS},
        routes=tuple(Route(each) for each in row.routes),
        till_text=row.till_text,
    )


def change(
    session: Session, programme: Programme, rules: Rules, *, actor: Actor, now: datetime
) -> Rules:
    """Take people in by these rules from now on; of two at once the later counts as a whole.

    Raises InputError naming the field, and Refused for a programme of certificates.
    """
    if programme.kind is ProgrammeKind.GIFT:
        raise Refused(f"The programme '{programme.slug}' issues certificates, not cards.")
    values = {
        "open": rules.open,
        "unproven": rules.unproven,
        "card_link": rules.card_link,
        "fields": _checked_fields(rules.fields),
        "routes": _checked_routes(rules.routes),
        "till_text": _checked_till_text(rules.till_text),
        "actor": str(actor),
        "updated_at": now,
    }
    locked = session.get_one(Programme, programme.id, with_for_update=True, populate_existing=True)
    locked.verified_only = rules.verified_only
    session.execute(
        insert(EnrolmentSettings)
        .values(programme_id=programme.id, **values)
        .on_conflict_do_update(index_elements=["programme_id"], set_=values)
    )
    session.flush()
    return of(session, locked)


def _checked_fields(fields: Mapping[str, Presence]) -> dict[str, str]:
    for name in fields:
        if name not in FIELDS:
            raise wrong(f"fields.{name}", f"is none; there are {', '.join(FIELDS)}", "unknown")
    return {name: str(fields.get(name, _FIELDS[name])) for name in FIELDS}


def _checked_routes(routes: Sequence[Route]) -> list[str]:
    if not routes:
        raise wrong("routes", "must name at least one way of proving a phone", "required")
    if len(set(routes)) < len(routes):
        raise wrong("routes", "must name each way once", "duplicate")
    return [str(route) for route in routes]


def _checked_till_text(texts: Mapping[str, str]) -> dict[str, str]:
    for language in texts:
        if language not in LANGUAGES:
            raise wrong(f"till_text.{language}", "is not a language of ours", "unknown")
        if "{link}" not in texts[language]:  # nobody agrees to what they cannot read
            raise wrong(f"till_text.{language}", "must hold {link}", "required")
    return {
        language: check_text(f"till_text.{language}", text, TILL_TEXT_LENGTH)
        for language, text in texts.items()
    }
