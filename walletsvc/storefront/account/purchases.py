"""What was bought with the card, at whichever organisation, and the receipt of each."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sqlmodel import Session

from walletsvc.core.errors import NotFound
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.programmes.rulebook import numerals
from walletsvc.programmes.rulebook.reasons import words
from walletsvc.sales import queries, receipts
from walletsvc.sales.models import Purchase, PurchaseLine, Refund, RefundState
from walletsvc.sales.queries import Bought
from walletsvc.sales.refunding import explained
from walletsvc.storefront.account import writing
from walletsvc.storefront.account.visiting import Visitor, cards_of
from walletsvc.web.i18n import language

_PIECE: Final = 20
_WIDTH: Final = 32


@dataclass(frozen=True)
class Row:
    """A purchase in the list."""

    address: str
    where: str
    branch: str
    when: str
    total: str
    earned: str
    spent: str
    returned: str


def listed(session: Session, found: Visitor, before: str) -> dict[str, Any]:
    """A piece of the list, from after the purchase `before` (public id) on; raises NotFound."""
    cards = cards_of(session, found)
    start = _find(session, cards, before).purchase.id if before else None
    rows = queries.of_cards(session, cards, before=start, limit=_PIECE + 1)
    more = rows[_PIECE - 1].purchase.public_id if len(rows) > _PIECE else ""
    return {
        "here": "purchases",
        "rows": [_row(found, each) for each in rows[:_PIECE]],
        "later": bool(before),
        "more": f"{found.base}/purchases?before={more}" if more else "",
    }


def receipt(session: Session, found: Visitor, public_id: str) -> dict[str, Any]:
    """One purchase with everything its receipt said; raises NotFound."""
    bought = _find(session, cards_of(session, found), public_id)
    purchase, spoken = bought.purchase, language()
    sums = {
        "discount": purchase.discount,
        "earned": purchase.earned,
        "points": purchase.paid_points,
        "stamps": purchase.stamps,
    }
    printed = receipts.printed(
        purchase.receipt, sums, currency=purchase.currency,
        language="en" if spoken == "en" else "ru", width=_WIDTH,
    )  # fmt: skip
    lines = queries.lines_of(session, purchase)
    return {
        "here": "purchases",
        "where": bought.organisation,
        "branch": bought.branch or purchase.channel or "",
        "when": writing.minute(purchase.at, _zone(found, purchase), spoken),
        "number": purchase.external_id,
        "lines": [_line(each, purchase) for each in lines if each.name or len(lines) > 1],
        "total": _money(purchase.total, purchase),
        "discount": _money(purchase.discount, purchase) if purchase.discount else "",
        "paid": _money(purchase.paid_money, purchase),
        "printed": printed,
        "refunds": [
            _refund(found, purchase, each)
            for each in queries.refunds_of(session, purchase)
            if each.state is RefundState.DONE
        ],
    }


def _find(session: Session, cards: list[int], public_id: str) -> Bought:
    found = None
    if PUBLIC_ID.fullmatch(public_id):
        found = queries.bought_with(session, cards, public_id)
    if found is None:
        raise NotFound("There is no such purchase.")
    return found


def _row(found: Visitor, bought: Bought) -> Row:
    purchase = bought.purchase
    back = purchase.state.value if purchase.state.value.endswith("refunded") else ""
    earned = purchase.earned or purchase.stamps
    return Row(
        address=f"{found.base}/purchases/{purchase.public_id}",
        where=bought.organisation,
        branch=bought.branch or purchase.channel or "",
        when=writing.minute(purchase.at, _zone(found, purchase), language()),
        total=_money(purchase.total - purchase.discount, purchase),
        earned=_points(earned, purchase) if earned else "",
        spent=_points(purchase.paid_points, purchase) if purchase.paid_points else "",
        returned=back,
    )


def _line(line: PurchaseLine, purchase: Purchase) -> tuple[str, str, str]:
    """Name, quantity where it is not one, and what is to be paid for it."""
    quantity = "" if line.quantity == 1 else f"× {numerals.decimal(line.quantity, language())}"
    return line.name or line.item or "—", quantity, _money(line.sum, purchase)


def _refund(found: Visitor, purchase: Purchase, refund: Refund) -> tuple[str, str, str, list[str]]:
    """When, what came back in money, and in points; and what of it cannot be used any more."""
    points = _points(refund.points_returned, purchase) if refund.points_returned else ""
    when = writing.minute(refund.at, _zone(found, purchase), language())
    scale = int(purchase.receipt.get("scale") or 0)
    notes = [
        words(each, language(), currency=purchase.currency, scale=scale)
        for each in explained(refund)
    ]
    return when, _money(refund.money, purchase), points, notes


def _zone(found: Visitor, purchase: Purchase) -> str:
    """The branch's zone as it was; a purchase without a branch was nowhere."""
    return str(purchase.receipt.get("time_zone") or found.programme.time_zone)


def _money(minor: int, purchase: Purchase) -> str:
    return writing.money(minor, purchase.currency, language())


def _points(minor: int, purchase: Purchase) -> str:
    scale = int(purchase.receipt.get("scale") or 0)
    return numerals.decimal(Decimal(minor).scaleb(-scale), language())
