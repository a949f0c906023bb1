"""Locking the cards that a change of groups concerns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, select

from walletsvc.cards.models import Card
from walletsvc.core.errors import Conflict, Refused

_MOST_TRIES: Final = 5


def lock_with_groups(session: Session, *card_ids: int) -> dict[int, Card]:
    """Lock these cards and all cards of their groups; they are read anew.

    Who was in a group is known before the locks are, so it is asked again under them; if cards
    came meanwhile the locks are let go, since taking more of them could not keep the order. Raises
    Conflict when that happens again and again.
    """
    for _ in range(_MOST_TRIES):
        attempt = session.begin_nested()
        query = select(Card).where(_together(card_ids)).order_by(col(Card.id))
        # Not FOR UPDATE: a till that posts for the card must not wait on its foreign key.
        locking = query.with_for_update(key_share=True).execution_options(populate_existing=True)
        found = {card.id: card for card in session.exec(locking)}
        if set(session.exec(select(Card.id).where(_together(card_ids)))) == set(found):
            attempt.commit()
            return found
        attempt.rollback()
    raise Conflict("The group is changing at this moment; please try again.")


def _together(card_ids: Sequence[int]) -> ColumnElement[bool]:
    groups = select(Card.group_id).where(col(Card.id).in_(card_ids))
    return or_(col(Card.id).in_(card_ids), col(Card.group_id).in_(groups))


def require_open(card: Card) -> None:
    """Raises Refused for a closed card."""
    if card.closed_at is not None:
        raise Refused("The card is closed.")
