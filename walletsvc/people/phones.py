"""Whose phone it is, and whether they proved to hold it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from walletsvc.people.models import Person, PersonPhone, Phone
from walletsvc.people.service import lock_phone, people_of


def phones_of(session: Session, person_id: int) -> list[str]:
    """A person's phones in E.164, verified or not, the oldest first."""
    return list(
        session.exec(
            select(Phone.e164)
            .join(PersonPhone, col(PersonPhone.phone_id) == col(Phone.id))
            .where(PersonPhone.person_id == person_id)
            .order_by(col(Phone.id))
        )
    )


def holders(session: Session, organisation_id: int, e164: str, now: datetime) -> list[Person]:
    """Who of an organisation answers a phone. It stays locked until the transaction ends."""
    return people_of(session, organisation_id, lock_phone(session, e164, now))


def verify(session: Session, person: Person, e164: str, now: datetime) -> None:
    """The person proved to hold this phone: it is theirs from now on, if it was not before."""
    phone = lock_phone(session, e164, now)
    held = session.get(PersonPhone, (person.id, phone.id), populate_existing=True)
    if held is None:
        held = PersonPhone(person_id=person.id, phone_id=phone.id, created_at=now)
    if held.verified_at is None:
        held.verified_at = now
    session.add(held)
    session.flush()
