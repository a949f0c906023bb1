"""A rule book applied to a purchase: what it costs, what it earns, and why.

The order is always the same. Discounts come off the prices; what then has to be paid is spread
over points, certificates and money; what of it earns brings the base earning and the promotions;
the sum is rounded; the cap comes last. The tier from before the purchase decides, the one after
it counts from the next purchase on. Equal arguments give equal results, so a quote is what its
purchase will be.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from walletsvc.core.errors import FieldError, InputError
from walletsvc.programmes.rulebook import dates, paying, stamp_cards, tiers
from walletsvc.programmes.rulebook.amounts import PointUnit
from walletsvc.programmes.rulebook.basket import Basket, Goods, Occasion, goods
from walletsvc.programmes.rulebook.earning import Earned, discounts, earn
from walletsvc.programmes.rulebook.explaining import Facts, explain
from walletsvc.programmes.rulebook.fields import made
from walletsvc.programmes.rulebook.outcome import Outcome, OutcomeLine, Payment
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.rulebook.stacking import stack
from walletsvc.programmes.rulebook.stamp_cards import Used


def evaluate(
    book: RuleBook, basket: Basket, occasion: Occasion, *, zone: ZoneInfo, scale: int = 0
) -> Outcome:
    """What the purchase brings under this book; `zone` and `scale` are the programme's.

    Raises InputError for a tier that the book does not have, and Refused when the points or
    certificates are more than may pay this bill; its data says what may.
    """
    unit = PointUnit(book.point_value, scale)
    tier = _tier(book, occasion)
    bought = goods(basket)
    excluded, unpayable = _apart(book, bought)
    stacked = stack(book, bought, excluded, occasion, tier)
    off, discount_parts = discounts(bought, stacked.counting)
    nets = [line.sum - less for line, less in zip(bought, off, strict=True)]
    paid = _pay(book, unit, occasion, bought, nets, excluded, unpayable)
    off = [less + more for less, more in zip(off, paid.used.off, strict=True)] if paid.used else off
    payment = paid.payment
    gifts = [sum(each) for each in payment.certificates]
    bases = _bases(book, excluded, payment, gifts)
    rewarded = paid.used.units if paid.used else None
    percent = book.percent_for(tier)
    earned = earn(book, unit, bought, bases, percent, stacked.counting, rewarded)
    turnovers = [
        money + gift if index not in excluded else 0
        for index, (money, gift) in enumerate(zip(payment.money, gifts, strict=True))
    ]
    lines = _lines(bought, off, payment, bases, earned, turnovers)
    values = _outcome(book, occasion, lines, payment, paid.most, tier, zone)
    facts = Facts(
        bought,
        stacked,
        discount_parts,
        earned,
        paid.spendable,
        nets,
        excluded,
        unpayable,
        paid.used,
    )
    values["explanation"] = explain(book, unit, made(Outcome, values), facts, zone)
    return made(Outcome, values)


class _Paid(NamedTuple):
    """How it is paid, what of each item points could pay, the most of them, and cards used."""

    payment: Payment
    spendable: Sequence[int]
    most: int
    used: Used | None


def _pay(
    book: RuleBook,
    unit: PointUnit,
    occasion: Occasion,
    bought: Sequence[Goods],
    nets: Sequence[int],
    excluded: Collection[int],
    unpayable: Collection[int],
) -> _Paid:
    """Points pay a share of the price; full stamp cards take it off. Certificates pay the rest."""
    certificates = sum([tender.amount for tender in occasion.paid_with_certificates])
    paying.check_certificates(certificates, sum(nets))
    card, points = book.stamp_card, occasion.paid_with_points
    if card is None:
        spendable = [0 if index in unpayable else net for index, net in enumerate(nets)]
        most = paying.most_points(book, unit, sum(spendable), sum(nets) - certificates)
        paying.check_points(book, unit, occasion, most)
        return _Paid(paying.pay(unit, occasion, nets, spendable), spendable, most, None)
    most = stamp_cards.most_stamps(card, bought, nets, excluded, certificates)
    used = stamp_cards.use(card, bought, nets, excluded, points, most)
    left = [net - less for net, less in zip(nets, used.off, strict=True)]
    stamps = [number * card.stamps for number in used.units]
    nothing = [0] * len(nets)
    return _Paid(paying.divided(occasion, left, stamps, nothing), nothing, most, used)


_NONE: Final[frozenset[int]] = frozenset()


def _apart(book: RuleBook, bought: Sequence[Goods]) -> tuple[frozenset[int], frozenset[int]]:
    """Which items take no part, and which cannot be paid with points."""
    apart = book.exclusions
    excluded = unpayable = _NONE
    if apart.excluded_any:
        excluded = frozenset(i for i, g in enumerate(bought) if apart.excluded(g.item, g.group))
    if apart.unpayable_any:
        unpayable = frozenset(i for i, g in enumerate(bought) if apart.unpayable(g.item, g.group))
    return excluded, unpayable


def _tier(book: RuleBook, occasion: Occasion) -> str | None:
    if occasion.tier is None or not book.tiers:
        found = tiers.tier_for(book, occasion.turnover)
    else:
        found = tiers.find(book, occasion.tier)
        if found is None:
            message = f"there is no tier '{occasion.tier}'"
            raise InputError(f"tier: {message}.", (FieldError("tier", message, "unknown_tier"),))
    return None if found is None else found.code


def _bases(
    book: RuleBook, excluded: Collection[int], payment: Payment, gifts: Sequence[int]
) -> list[int]:
    """What of each item earns; `gifts` are what certificates pay."""
    bases = list(payment.money)
    if book.earn.earn_on_certificates:
        bases = [base + gift for base, gift in zip(bases, gifts, strict=True)]
    if book.earn.earn_on_points_paid:
        bases = [base + paid for base, paid in zip(bases, payment.points_money, strict=True)]
    return [0 if index in excluded else base for index, base in enumerate(bases)]


def _lines(
    bought: Sequence[Goods],
    off: Sequence[int],
    payment: Payment,
    bases: Sequence[int],
    earned: Earned,
    turnovers: Sequence[int],
) -> tuple[OutcomeLine, ...]:
    return tuple(
        [
            made(
                OutcomeLine,
                {
                    "item": line.item,
                    "group": line.group,
                    "name": line.name,
                    "milli": line.milli,
                    "sum": line.sum,
                    "discount": off[i],
                    "points": payment.points[i],
                    "points_money": payment.points_money[i],
                    "certificates": payment.certificates[i],
                    "money": payment.money[i],
                    "base": bases[i],
                    "earned": earned.points[i],
                    "stamps": earned.stamps[i],
                    "turnover": turnovers[i],
                },
            )
            for i, line in enumerate(bought)
        ]
    )


def _outcome(
    book: RuleBook,
    occasion: Occasion,
    lines: tuple[OutcomeLine, ...],
    payment: Payment,
    most: int,
    tier: str | None,
    zone: ZoneInfo,
) -> dict[str, Any]:
    """The totals, the tier and the dates; the explanation is still to come."""
    turnover = sum([line.turnover for line in lines])
    before, off = sum([line.sum for line in lines]), sum([line.discount for line in lines])
    # All of it is kept: later rules may count what these do not.
    counted = turnover if book.tier_base.counts(occasion.organisation) else 0
    after = tiers.reached(book, occasion.turnover + counted, tier)
    available = dates.available_from(occasion.at, book.available_after_days, zone)
    return {
        "lines": lines,
        "sum": before,
        "discount": off,
        "payable": before - off,
        "most_points_payable": most,
        "paid_with_points": occasion.paid_with_points,
        "points_money": sum(payment.points_money),
        "paid_with_certificates": occasion.paid_with_certificates,
        "money": sum(payment.money),
        "earned": sum([line.earned for line in lines]),
        "stamps": sum([line.stamps for line in lines]),
        "tier": tier,
        "tier_after": None if after is None else after.code,
        "turnover": turnover,
        "available_from": available,
        "expires_at": dates.expires_at(available, book.lifetime, zone),
        "explanation": (),
    }
