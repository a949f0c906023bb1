"""Locking persons for a change of who they are.

The order is phones, persons, cards, accounts, ascending within each: registering locks a phone,
issuing a card its person.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, select

from walletsvc.people.models import Person, PersonPhone, Phone


def lock_persons(session: Session, *person_ids: int) -> dict[int, Person]:
    """Lock persons and the phones they have, until this transaction ends; they are read anew."""
    lock_phones(session, phone_ids(session, person_ids))
    query = select(Person).where(col(Person.id).in_(person_ids)).order_by(col(Person.id))
    locking = query.with_for_update().execution_options(populate_existing=True)
    return {person.id: person for person in session.exec(locking)}


def lock_phones(session: Session, ids: Sequence[int]) -> list[Phone]:
    """Lock phones: nobody registers with them meanwhile."""
    query = select(Phone).where(col(Phone.id).in_(ids)).order_by(col(Phone.id))
    return list(session.exec(query.with_for_update()))


def phone_ids(session: Session, person_ids: Sequence[int]) -> list[int]:
    """The phones of these persons."""
    query = select(PersonPhone.phone_id).where(col(PersonPhone.person_id).in_(person_ids))
    return sorted(set(session.exec(query)))
