"""Who is meant by a phone and a name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from sqlmodel import Session

from walletsvc.core.errors import FieldError, InputError, Refused
from walletsvc.merchants.rules import check_text
from walletsvc.people.models import Person, PersonPhone
from walletsvc.people.phones import lock_phone, people_of
from walletsvc.people.rules import check_email, name_key, normalise_phone
from walletsvc.storage.rows import Inserted

_OLDEST: Final = date(1900, 1, 1)
_PERSONS: Final = Inserted(Person)
_PERSON_PHONES: Final = Inserted(PersonPhone)


def find_or_create_person(
    session: Session,
    *,
    organisation_id: int,
    phone: str | None,
    first_name: str,
    last_name: str = "",
    birthday: date | None = None,
    email: str | None = None,
    language: str = "ru",
    responsible_id: int | None = None,
    now: datetime,
) -> Person:
    """The organisation's person with this phone and name, or a new one.

    A phone may be several people's: the same phone with another name is another person.
    Without a phone nobody can be recognised, so the person is new. The phone row stays
    locked until the transaction ends: two registrations at once see each other. Of somebody known
    only what was missing is filled in.

    Raises InputError for a bad phone, name, birthday or e-mail.
    """
    check_birthday(birthday, now)
    email = check_email(email) if email else None
    first = check_text("first_name", first_name, 80)
    last = check_text("last_name", last_name, 80, required=False)
    held = lock_phone(session, normalise_phone(phone), now) if phone is not None else None
    if held is not None and not held.new:
        for person in people_of(session, organisation_id, held.e164):
            if name_key(person.first_name, person.last_name) == name_key(first, last):
                fill_in(person, birthday=birthday, email=email, responsible_id=responsible_id)
                return person
    person = _PERSONS.one(
        session,
        organisation_id=organisation_id,
        first_name=first,
        last_name=last,
        birthday=birthday,
        email=email,
        language=language,
        responsible_id=responsible_id,
        created_at=now,
    )
    if held is not None:
        _PERSON_PHONES.one(session, person_id=person.id, phone_id=held.id, created_at=now)
    return person


def fill_in(
    person: Person,
    *,
    last_name: str = "",
    birthday: date | None = None,
    email: str | None = None,
    responsible_id: int | None = None,
) -> None:
    """Add what was not known of a person; what was stays, for it may have been proved."""
    person.last_name = person.last_name or last_name
    person.birthday = person.birthday or birthday
    person.email = person.email or email
    person.responsible_id = person.responsible_id or responsible_id


def change_person(person: Person, values: Mapping[str, Any], now: datetime) -> None:
    """Put other values in the place of what is known of a person, who is locked.

    Raises InputError naming the field, Refused for somebody who is another by now, or gone.
    """
    if person.closed_at is not None:
        raise Refused("This person was merged into another one, or is gone.")
    if "first_name" in values:
        person.first_name = check_text("first_name", values["first_name"], 80)
    if "last_name" in values:
        person.last_name = check_text("last_name", values["last_name"], 80, required=False)
    if "birthday" in values:
        check_birthday(values["birthday"], now)
        person.birthday = values["birthday"]
    if "email" in values:
        person.email = check_email(values["email"]) if values["email"] else None
    if "language" in values:
        person.language = values["language"]
    if "responsible_id" in values:
        person.responsible_id = values["responsible_id"]


def check_birthday(birthday: date | None, now: datetime) -> None:
    """Raises InputError for a day nobody living can be born on."""
    if birthday is not None and not _OLDEST <= birthday <= now.date():
        message = "must be a day that has been, in this century or the last"
        raise InputError(
            f"birthday: {message}.", (FieldError("birthday", message, "out_of_range"),)
        )
