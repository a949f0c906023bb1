"""A quote: what a purchase would be at this moment, by the very same way, without writing it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from walletsvc.sales.preparing import Prepared, prepare
from walletsvc.sales.sale import Caller, Sale


def quote(session: Session, caller: Caller, sale: Sale, now: datetime) -> Prepared:
    """Check and compute a sale; only what is due by now may be written (points that matured).

    Raises what `prepare` raises.
    """
    prepared = prepare(session, caller, sale, None, now)
    if isinstance(prepared, Prepared):
        return prepared
    raise AssertionError("a quote has no reference")


def most_points(prepared: Prepared) -> int:
    """The most points that can pay this bill: by its rules, by what there is, and by whether the
    holder has shown to be there."""
    card = prepared.facts.card
    if card is None or not prepared.shown.present:
        return 0
    spend, unit = card.book.spend, int(10**card.scale)
    most = min(prepared.outcome.most_points_payable, prepared.available or 0)
    most -= most % (card.book.spend_step * unit if spend.step or card.book.stamp_card else 1)
    return most if most >= spend.min_points * unit else 0
