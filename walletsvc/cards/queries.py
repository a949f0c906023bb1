"""Reading cards with what belongs to them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from walletsvc.cards.groups.models import CardGroup
from walletsvc.cards.models import Card
from walletsvc.ledger.models import Account, Unit
from walletsvc.people.models import Person
from walletsvc.programmes.models import Programme


@dataclass(frozen=True)
class CardView:
    """A card, whose it is, what it counts; `explain` tells what the account has at a moment.

    The account is shared with the other cards of `group`, if the card is in one.
    """

    card: Card
    person: Person
    programme: Programme
    unit: Unit
    account: Account
    group: CardGroup | None = None


def _view(
    session: Session, *conditions: ColumnElement[bool] | bool, acting: bool = False
) -> CardView | None:
    query = (
        select(Card, Person, Programme, Unit)
        .join(Person, col(Person.id) == col(Card.person_id))
        .join(Programme, col(Programme.id) == col(Card.programme_id))
        .join(Unit, col(Unit.id) == col(Programme.unit_id))
        .where(*conditions)
    )
    if acting:
        query = query.with_for_update(read=True, of=Card)
    row = session.exec(query.execution_options(populate_existing=True)).first()
    if row is None:
        return None
    card, person, programme, unit = row
    # Read anew: the ledger changes balances by SQL, behind the session's back.
    account = session.get_one(Account, card.account_id, populate_existing=True)
    group = None if card.group_id is None else session.get_one(CardGroup, card.group_id)
    return CardView(card, person, programme, unit, account, group)


def find(
    session: Session, organisation_id: int, public_id: str, *, acting: bool = False
) -> CardView | None:
    """The organisation's card with this public id.

    With `acting` the card stays with its account until this transaction ends: it neither joins
    nor leaves a group while something is posted for it.
    """
    own = Programme.organisation_id == organisation_id
    return _view(session, Card.public_id == public_id, own, acting=acting)


def find_anywhere(session: Session, public_id: str, *, acting: bool = False) -> CardView | None:
    """The card with this public id, whichever organisation issued it.

    What may be done with it is a question of acceptance between organisations. With `acting` the
    card stays with its account until this transaction ends.
    """
    return _view(session, Card.public_id == public_id, acting=acting)


def find_by_number(session: Session, number: str) -> str | None:
    """The public id of the card that somebody who shows this number means, if there is one.

    A phone or a piece of plastic may still show the number of a card that was merged.
    """
    shown, meant = aliased(Card), aliased(Card)
    return session.exec(
        select(meant.public_id)
        .join(shown, col(meant.id) == func.coalesce(shown.merged_into_id, shown.id))
        .where(shown.number == number)
    ).first()
