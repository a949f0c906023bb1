"""Issuing cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session

from walletsvc.cards.codes import service as codes
from walletsvc.cards.models import Card
from walletsvc.cards.rules import new_number
from walletsvc.core.errors import Conflict, DuplicateMember, Refused
from walletsvc.core.ids import secret_token, token_hash
from walletsvc.ledger.models import AccountKind
from walletsvc.ledger.service import open_accounts
from walletsvc.people.models import Person
from walletsvc.programmes.models import CodePolicy, Programme, ProgrammeKind
from walletsvc.storage.rows import Inserted, Read, made_here
from walletsvc.storage.statement import Statement

_CARDS: Final = Inserted(Card)
_HAD: Final = Read(
    Card, "WHERE person_id = ANY(CAST(:people AS bigint[])) AND programme_id = :programme"
)
_LOCK: Final = Statement(
    "SELECT closed_at IS NOT NULL AS closed FROM persons"
    " WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR UPDATE"
)
# Shared: whoever changes these waits for the cards that are made, and then finds them.
_SHARED: Final = Statement(
    "SELECT debt_limit, code_policy FROM programmes WHERE id = :programme FOR SHARE"
)


def issue_card(
    session: Session,
    *,
    person: Person,
    programme: Programme,
    now: datetime,
    verified: bool = False,
) -> Card:
    """A card with an empty account of its own. `verified`: its holder has just proved a phone.

    Raises DuplicateMember, whose data holds `card_id`, when the person has a card of this
    programme, Conflict when the person's record is closed, and Refused when the programme is
    closed or issues certificates. The person is locked first, so of two issues at once the second
    finds the first; one made in this transaction nobody else can know. The account may owe
    what the programme's debt limit allows.
    """
    issued = issue_cards(
        session,
        {person.id: now},
        programme=programme,
        now=now,
        verified_at=now if verified else None,
    )[person.id]
    if not issued.new:
        raise DuplicateMember(
            "This person has a card of this programme already.", card_id=issued.card.public_id
        )
    return issued.card


@dataclass(frozen=True)
class IssuedCard:
    """A person's card of the programme, and whether it was made just now."""

    card: Card
    new: bool


def issue_cards(
    session: Session,
    people: Mapping[int, datetime],
    *,
    programme: Programme,
    now: datetime,
    verified_at: datetime | None = None,
) -> dict[int, IssuedCard]:
    """The cards of these persons, made for those who have none; by the person's id.

    `people` says of each since when they have theirs; `verified_at` is that of new cards. Otherwise
    as `issue_card`; a card that the person had may be closed.
    """
    require_issuing(programme)
    ids = sorted(people)
    known = [id_ for id_ in ids if not made_here(session, Person, id_)]
    if known and any(row.closed for row in _LOCK.all(session, {"ids": known})):
        # Merged or erased while this waited: who asks again finds who the person is by now.
        raise Conflict("This person's record was closed at this moment; please try again.")
    had = _HAD.all(session, people=ids, programme=programme.id)
    found = {card.person_id: IssuedCard(card, False) for card in had}
    new = {person_id: people[person_id] for person_id in ids if person_id not in found}
    made = _make(session, new, programme, now, verified_at)
    return found | {card.person_id: IssuedCard(card, True) for card in made}


def _make(
    session: Session,
    people: Mapping[int, datetime],
    programme: Programme,
    now: datetime,
    verified_at: datetime | None,
) -> list[Card]:
    shared = _SHARED.first(session, {"programme": programme.id})
    accounts = open_accounts(
        session,
        len(people),
        organisation_id=programme.organisation_id,
        unit_id=programme.unit_id,
        kind=AccountKind.CUSTOMER,
        now=now,
        min_balance=-shared.debt_limit,
    )
    tokens = [secret_token() for _ in people]
    cards = _CARDS.all(
        session,
        [
            {
                "person_id": person_id,
                "programme_id": programme.id,
                "account_id": account.id,
                "number": new_number(),
                "link_token": token,
                "link_hash": token_hash(token),
                "created_at": since,
                "verified_at": verified_at,
            }
            for (person_id, since), account, token in zip(
                people.items(), accounts, tokens, strict=True
            )
        ],
    )
    codes.ensure(session, [card.id for card in cards], CodePolicy(shared.code_policy), now)
    return cards


def require_issuing(programme: Programme) -> None:
    """Raises Refused when the programme is closed or issues certificates."""
    if programme.kind is ProgrammeKind.GIFT:
        raise Refused(f"The programme '{programme.slug}' issues certificates, not cards.")
    if programme.closed_at is not None:
        raise Refused(f"The programme '{programme.slug}' is closed.")
