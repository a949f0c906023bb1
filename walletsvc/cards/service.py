"""Issuing cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from walletsvc.cards.models import Card
from walletsvc.cards.rules import new_number
from walletsvc.core.errors import DuplicateMember, Refused
from walletsvc.core.ids import secret_token, token_hash
from walletsvc.ledger.models import AccountKind
from walletsvc.ledger.service import open_accounts
from walletsvc.people.models import Person
from walletsvc.programmes.models import Programme, ProgrammeKind


def issue_card(session: Session, *, person: Person, programme: Programme, now: datetime) -> Card:
    """A card with an empty account of its own.

    Raises DuplicateMember, whose data holds `card_id`, when the person has a card of this
    programme, and Refused when the programme is closed or issues certificates. The person
    is locked first, so of two issues at once the second finds the first. The account may owe
    what the programme's debt limit allows.
    """
    issued = issue_cards(session, {person.id: now}, programme=programme, now=now)[person.id]
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
    session: Session, people: Mapping[int, datetime], *, programme: Programme, now: datetime
) -> dict[int, IssuedCard]:
    """The cards of these persons, made for those who have none; by the person's id.

    `people` says of each since when they have theirs. Otherwise as `issue_card`; a card that the
    person had may be closed.
    """
    require_issuing(programme)
    ids = sorted(people)
    locked = select(Person.id).where(col(Person.id).in_(ids)).order_by(col(Person.id))
    session.exec(locked.with_for_update()).all()
    had = select(Card).where(col(Card.person_id).in_(ids), Card.programme_id == programme.id)
    found = {card.person_id: IssuedCard(card, False) for card in session.exec(had)}
    # Shared: whoever changes the limit waits for this card, and then finds its account.
    limit = session.exec(
        select(Programme.debt_limit).where(Programme.id == programme.id).with_for_update(read=True)
    ).one()
    new = [person_id for person_id in ids if person_id not in found]
    accounts = open_accounts(
        session,
        len(new),
        organisation_id=programme.organisation_id,
        unit_id=programme.unit_id,
        kind=AccountKind.CUSTOMER,
        now=now,
        min_balance=-limit,
    )
    for person_id, account in zip(new, accounts, strict=True):
        token = secret_token()
        card = Card(
            person_id=person_id,
            programme_id=programme.id,
            account_id=account.id,
            number=new_number(),
            link_token=token,
            link_hash=token_hash(token),
            created_at=people[person_id],
        )
        session.add(card)
        found[person_id] = IssuedCard(card, True)
    session.flush()
    return found


def require_issuing(programme: Programme) -> None:
    """Raises Refused when the programme is closed or issues certificates."""
    if programme.kind is ProgrammeKind.GIFT:
        raise Refused(f"The programme '{programme.slug}' issues certificates, not cards.")
    if programme.closed_at is not None:
        raise Refused(f"The programme '{programme.slug}' is closed.")
