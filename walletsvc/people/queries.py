"""Finding people by what they say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlmodel import Session, col, or_, select

from walletsvc.core.errors import NotFound
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.people.models import Person
from walletsvc.people.rules import name_key


def find_person(
    session: Session, organisation_id: int, public_id: str, *, lock: bool = False
) -> Person:
    """The organisation's person with this public id; raises NotFound."""
    found = None
    if PUBLIC_ID.fullmatch(public_id):
        query = select(Person).where(
            Person.public_id == public_id, Person.organisation_id == organisation_id
        )
        if lock:
            query = query.with_for_update(key_share=True)
        found = session.exec(query.execution_options(populate_existing=True)).first()
    if found is None:
        raise NotFound("There is no such person.")
    return found


def by_name(
    session: Session,
    organisation_id: int,
    name: str,
    birthday: date | None = None,
    *,
    limit: int,
) -> Sequence[Person]:
    """The organisation's people whose names begin like this, in whichever order first and last
    name stand; born on that day, if one is given. Closed ones are not among them."""
    words = name_key(name, "").split()
    orders = {" ".join(words), " ".join([*words[-1:], *words[:-1]])}
    query = select(Person).where(
        Person.organisation_id == organisation_id,
        col(Person.closed_at).is_(None),
        or_(*(col(Person.name_key).startswith(each, autoescape=True) for each in orders)),
    )
    if birthday is not None:
        query = query.where(col(Person.birthday) == birthday)
    ordered = query.order_by(col(Person.name_key), col(Person.id))
    return session.exec(ordered.limit(limit)).all()
