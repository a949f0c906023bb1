"""Which people answer a phone, and that one of them proved to hold it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, func, select

from walletsvc.people.models import Person, PersonPhone, Phone


def lock_phone(session: Session, e164: str, now: datetime) -> Phone:
    """The row of a phone, made when there is none, kept until the transaction ends: who registers
    with the same phone at the same moment waits and then sees what was done."""
    known = select(Phone).where(Phone.e164 == e164).with_for_update()
    phone = session.exec(known).first()
    if phone is not None:
        return phone
    session.execute(
        insert(Phone)
        .values(e164=e164, created_at=now)
        .on_conflict_do_nothing(index_elements=["e164"])
    )
    return session.exec(known).one()


def people_of(session: Session, organisation_id: int, e164: str) -> Sequence[Person]:
    """The organisation's people who answer this phone, first come first; closed ones do not."""
    return session.exec(
        select(Person)
        .join(PersonPhone, col(PersonPhone.person_id) == col(Person.id))
        .join(Phone, col(Phone.id) == col(PersonPhone.phone_id))
        .where(
            Phone.e164 == e164,
            Person.organisation_id == organisation_id,
            col(Person.closed_at).is_(None),
        )
        .order_by(col(Person.id))
    ).all()


def phones_of(session: Session, person_id: int) -> Sequence[str]:
    """A person's phones in E.164, first come first."""
    return session.exec(
        select(Phone.e164)
        .join(PersonPhone, col(PersonPhone.phone_id) == col(Phone.id))
        .where(PersonPhone.person_id == person_id)
        .order_by(col(PersonPhone.created_at), col(Phone.id))
    ).all()


def holders(session: Session, organisation_id: int, e164: str, now: datetime) -> Sequence[Person]:
    """`people_of`, and the phone stays locked until the transaction ends."""
    lock_phone(session, e164, now)
    return people_of(session, organisation_id, e164)


def verify(session: Session, person: Person, e164: str, now: datetime) -> None:
    """The person proved to hold the phone; it becomes theirs when it was not. The first time is
    kept."""
    phone = lock_phone(session, e164, now)
    session.execute(
        insert(PersonPhone)
        .values(person_id=person.id, phone_id=phone.id, created_at=now, verified_at=now)
        .on_conflict_do_update(
            index_elements=["person_id", "phone_id"],
            set_={"verified_at": func.coalesce(col(PersonPhone.verified_at), now)},
        )
    )
