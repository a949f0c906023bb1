"""Which people answer a phone, and that one of them proved to hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session, col, select

from walletsvc.people.models import Person, PersonPhone, Phone
from walletsvc.storage.rows import Read
from walletsvc.storage.statement import Statement

_LOCK: Final = Statement("""
WITH known AS (
    SELECT id FROM phones WHERE e164 = :e164 FOR UPDATE
), made AS (
    INSERT INTO phones (e164, created_at)
    SELECT :e164, :now WHERE NOT EXISTS (SELECT FROM known)
    ON CONFLICT (e164) DO NOTHING RETURNING id
)
SELECT id, false AS new FROM known UNION ALL SELECT id, true FROM made
""")
_PEOPLE: Final = Read(
    Person,
    """
    JOIN person_phones ON person_phones.person_id = persons.id
    JOIN phones ON phones.id = person_phones.phone_id
    WHERE phones.e164 = :e164 AND persons.organisation_id = :organisation
      AND persons.closed_at IS NULL
    ORDER BY persons.id
    """,
)
_VERIFY: Final = Statement("""
WITH phone AS (SELECT id FROM phones WHERE e164 = :e164 FOR UPDATE)
INSERT INTO person_phones AS p (person_id, phone_id, created_at, verified_at)
SELECT :person, id, :now, :now FROM phone
ON CONFLICT (person_id, phone_id) DO UPDATE SET verified_at = coalesce(p.verified_at, :now)
RETURNING 1
""")


@dataclass(frozen=True, slots=True)
class HeldPhone:
    """A locked phone; one that was made by this transaction is nobody's yet."""

    id: int
    e164: str
    new: bool


def lock_phone(session: Session, e164: str, now: datetime) -> HeldPhone:
    """The row of a phone, made when there is none, kept until the transaction ends: who registers
    with the same phone at the same moment waits and then sees what was done."""
    values = {"e164": e164, "now": now}
    while True:
        row = _LOCK.first(session, values)
        if row is not None:
            return HeldPhone(row.id, e164, row.new)
        # Another transaction made it meanwhile: the next look sees it.


def people_of(session: Session, organisation_id: int, e164: str) -> Sequence[Person]:
    """The organisation's people who answer this phone, first come first; closed ones do not."""
    return _PEOPLE.all(session, e164=e164, organisation=organisation_id)


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
    values = {"person": person.id, "e164": e164, "now": now}
    while _VERIFY.first(session, values) is None:
        lock_phone(session, e164, now)  # which makes it
