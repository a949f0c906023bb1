"""Who is meant by phones and names, many at once: a few statements, whatever their number."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import insert, text
from sqlmodel import Session

from walletsvc.people.models import Person, PersonPhone
from walletsvc.people.rules import name_key

# In one order, so that two who bring the same phones wait for each other and nobody deadlocks.
_ADD_PHONES: Final = text("""
INSERT INTO phones (e164, created_at)
SELECT e164, :now FROM unnest(CAST(:phones AS text[])) AS e164 ORDER BY e164
ON CONFLICT (e164) DO NOTHING
""")
_LOCK_PHONES: Final = text(
    "SELECT e164, id FROM phones WHERE e164 = ANY(CAST(:phones AS text[])) ORDER BY e164 FOR UPDATE"
)
_KNOWN: Final = text("""
SELECT f.e164, p.id, p.first_name, p.last_name
  FROM phones f
  JOIN person_phones h ON h.phone_id = f.id
  JOIN persons p ON p.id = h.person_id
 WHERE f.e164 = ANY(CAST(:phones AS text[])) AND p.organisation_id = :organisation_id
   AND p.closed_at IS NULL
 ORDER BY p.id DESC
""")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A person as somebody's list tells of them; every field has been checked."""

    phone: str | None
    first_name: str
    last_name: str = ""
    birthday: date | None = None
    email: str | None = None
    language: str = "ru"
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Who it is, and whether they are new."""

    person_id: int
    new: bool


def known_people(
    session: Session, organisation_id: int, phones: Collection[str]
) -> dict[tuple[str, str], int]:
    """The organisation's persons by phone and `name_key`."""
    wanted = {"phones": sorted(set(phones)), "organisation_id": organisation_id}
    return {
        (row.e164, name_key(row.first_name, row.last_name)): row.id
        for row in session.execute(_KNOWN, wanted)
    }


def find_or_create_people(
    session: Session, organisation_id: int, wanted: Sequence[Wanted], now: datetime
) -> list[Found]:
    """For each the organisation's person with that phone and name, or a new one.

    As `service.find_or_create_person`, except that nothing is added to a person who is known. Two
    of the list may be one person; only the first of them is new. The phones stay locked.
    """
    phones = sorted({each.phone for each in wanted if each.phone is not None})
    session.execute(_ADD_PHONES, {"phones": phones, "now": now})
    ids = {row[0]: row[1] for row in session.execute(_LOCK_PHONES, {"phones": phones})}
    known: dict[tuple[str, str], int | Person] = dict(
        known_people(session, organisation_id, phones)
    )
    found: list[tuple[int | Person, bool]] = []
    for each in wanted:
        key = (each.phone, name_key(each.first_name, each.last_name)) if each.phone else None
        present = known.get(key) if key else None
        made = present or _person(organisation_id, each, now)
        found.append((made, present is None))
        if key:
            known[key] = made
    new = [person for person, is_new in found if is_new and isinstance(person, Person)]
    session.add_all(new)
    session.flush()
    answers = [
        Found(person.id if isinstance(person, Person) else person, is_new)
        for person, is_new in found
    ]
    held = [
        {"person_id": answer.person_id, "phone_id": ids[each.phone], "created_at": now}
        for each, answer in zip(wanted, answers, strict=True)
        if answer.new and each.phone is not None
    ]
    if held:
        session.execute(insert(PersonPhone), held)
    return answers


def _person(organisation_id: int, wanted: Wanted, now: datetime) -> Person:
    return Person(
        organisation_id=organisation_id,
        first_name=wanted.first_name,
        last_name=wanted.last_name,
        birthday=wanted.birthday,
        email=wanted.email,
        language=wanted.language,
        created_at=wanted.since or now,
    )
