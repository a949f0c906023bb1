"""Who and what of a list is there already."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.people.many import known_people
from walletsvc.programmes.models import Programme

# A card that an import made, and whose undoing closed it, opens again for the next.
_CARDS: Final = text("""
SELECT c.person_id, c.id, c.account_id, c.closed_at IS NULL AS open,
       EXISTS (SELECT FROM import_rows r
                WHERE r.card_id = c.id AND r.outcome = 'undone' AND r.person_id = c.person_id)
       AS undone
  FROM cards c
 WHERE c.programme_id = :programme_id AND c.person_id = ANY(CAST(:people AS bigint[]))
""")
_TAKEN: Final = text("""
SELECT number FROM plastic_numbers
 WHERE organisation_id = :organisation_id AND number = ANY(CAST(:numbers AS text[]))
UNION
SELECT number FROM cards WHERE number = ANY(CAST(:numbers AS text[]))
""")


@dataclass(frozen=True, slots=True)
class MemberCard:
    """A person's card of the programme; `undone` is one that may be opened again."""

    card_id: int
    account_id: int
    open: bool
    undone: bool


@dataclass(frozen=True, slots=True)
class Members:
    """Persons by phone and name, and cards by person."""

    people: Mapping[tuple[str, str], int]
    cards: Mapping[int, MemberCard]


def members(session: Session, programme: Programme, phones: Collection[str]) -> Members:
    """Who answers these phones, and which cards of the programme they have."""
    people = known_people(session, programme.organisation_id, phones)
    return Members(people, member_cards(session, programme, list(people.values())))


def member_cards(
    session: Session, programme: Programme, people: Collection[int]
) -> dict[int, MemberCard]:
    """The cards of these persons. One that may be opened again counts as open."""
    wanted = {"programme_id": programme.id, "people": sorted(set(people))}
    return {
        row.person_id: MemberCard(
            row.id, row.account_id, row.open or row.undone, not row.open and row.undone
        )
        for row in session.execute(_CARDS, wanted)
    }


def numbers_taken(
    session: Session, programme: Programme, numbers: Collection[str]
) -> frozenset[str]:
    """Which of the numbers are a card's already."""
    wanted = {
        "organisation_id": programme.organisation_id,
        "numbers": sorted(set(numbers)),
    }
    return frozenset(session.execute(_TAKEN, wanted).scalars())
