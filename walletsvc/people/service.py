"""Who is meant by a phone and a name."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from walletsvc.core.errors import FieldError, InputError
from walletsvc.merchants.rules import check_text
from walletsvc.people.models import Person, PersonPhone, Phone
from walletsvc.people.rules import name_key, normalise_phone

_OLDEST: Final = date(1900, 1, 1)


def find_or_create_person(
    session: Session,
    *,
    organisation_id: int,
    phone: str | None,
    first_name: str,
    last_name: str = "",
    birthday: date | None = None,
    language: str = "ru",
    now: datetime,
) -> Person:
    """The organisation's person with this phone and name, or a new one.

    A phone may be several people's: the same phone with another name is another person.
    Without a phone nobody can be recognised, so the person is new. The phone row stays
    locked until the transaction ends: two registrations at once see each other.

    Raises InputError for a bad phone, name or birthday.
    """
    _check_birthday(birthday, now)
    first = check_text("first_name", first_name, 80)
    last = check_text("last_name", last_name, 80, required=False)
    held = lock_phone(session, normalise_phone(phone), now) if phone is not None else None
    if held is not None:
        for person in people_of(session, organisation_id, held):
            if name_key(person.first_name, person.last_name) == name_key(first, last):
                if person.birthday is None:
                    person.birthday = birthday
                return person
    person = Person(
        organisation_id=organisation_id,
        first_name=first,
        last_name=last,
        birthday=birthday,
        language=language,
        created_at=now,
    )
    session.add(person)
    session.flush()
    if held is not None:
        session.add(PersonPhone(person_id=person.id, phone_id=held.id, created_at=now))
        session.flush()
    return person


def _check_birthday(birthday: date | None, now: datetime) -> None:
    if birthday is not None and not _OLDEST <= birthday <= now.date():
        message = "must be a day that has been, in this century or the last"
        raise InputError(
            f"birthday: {message}.", (FieldError("birthday", message, "out_of_range"),)
        )


def lock_phone(session: Session, e164: str, now: datetime) -> Phone:
    """The row of a phone, made when it is new, and locked until the transaction ends."""
    session.execute(
        insert(Phone)
        .values(e164=e164, created_at=now)
        .on_conflict_do_nothing(index_elements=["e164"])
    )
    return session.exec(select(Phone).where(Phone.e164 == e164).with_for_update()).one()


def people_of(session: Session, organisation_id: int, phone: Phone) -> list[Person]:
    """The organisation's persons who answer a phone, the oldest first."""
    return list(
        session.exec(
            select(Person)
            .join(PersonPhone, col(PersonPhone.person_id) == col(Person.id))
            .where(
                PersonPhone.phone_id == phone.id,
                Person.organisation_id == organisation_id,
                col(Person.closed_at).is_(None),
            )
            .order_by(col(Person.id))
        )
    )
