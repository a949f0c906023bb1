"""Finding people by what they say of themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final

from sqlalchemy import text
from sqlmodel import Session, col, or_, select

from walletsvc.core.errors import NotFound
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.people.models import Person
from walletsvc.people.rules import name_key

# A person with all rows that were merged into theirs.
SAME_PERSON: Final = (
    "WITH RECURSIVE same (id) AS (SELECT CAST(:person_id AS bigint) UNION"
    " SELECT p.id FROM same JOIN persons p ON p.merged_into_id = same.id)"
    " SELECT id FROM same"
)
_ESCAPED: Final = re.compile(r"[%_\\]")


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


def same_person(session: Session, person_id: int) -> list[int]:
    """The person and all rows that were merged into theirs."""
    return list(session.execute(text(SAME_PERSON), {"person_id": person_id}).scalars())


def by_name(
    session: Session,
    organisation_id: int,
    name: str,
    birthday: date | None = None,
    *,
    limit: int,
) -> Sequence[Person]:
    """The organisation's people whose first and last name begin like this, in whichever order they
    stand; born on that day, if one is given. Closed ones are not among them."""
    words = [_ESCAPED.sub(r"\\\g<0>", word) for word in name_key(name, "").split()]
    orders = [words, [*words[-1:], *words[:-1]]]
    query = select(Person).where(
        Person.organisation_id == organisation_id,
        col(Person.closed_at).is_(None),
        or_(
            *(
                col(Person.name_key).like(" ".join(f"{each}%" for each in order), escape="\\")
                for order in orders
            )
        ),
    )
    if birthday is not None:
        query = query.where(col(Person.birthday) == birthday)
    ordered = query.order_by(col(Person.name_key), col(Person.id))
    return session.exec(ordered.limit(limit)).all()
