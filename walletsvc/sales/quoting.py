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
