"""A rule book applied to a purchase: what it costs, what it earns, and why.

The order is always the same. Discounts come off the prices; what then has to be paid is spread
over points, certificates and money; what of it earns brings the base earning and the promotions;
the sum is rounded; the cap comes last. The tier from before the purchase decides, the one after
it counts from the next purchase on. Equal arguments give equal results, so a quote is what its
purchase will be.
"""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from walletsvc.core.errors import FieldError, InputError
from walletsvc.programmes.rulebook import dates, paying, tiers
from walletsvc.programmes.rulebook.amounts import PointUnit
from walletsvc.programmes.rulebook.basket import Basket, Goods, Occasion, goods
from walletsvc.programmes.rulebook.earning import Earned, discounts, earn
from walletsvc.programmes.rulebook.explaining import Facts, explain
from walletsvc.programmes.rulebook.outcome import Outcome, OutcomeLine, Payment
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.rulebook.stacking import stack


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
    stacked = stack(book, bought, occasion, tier)
    off, discount_parts = discounts(bought, stacked.counting)
    nets = [line.sum - less for line, less in zip(bought, off, strict=True)]
    spendable = [
        0 if book.exclusions.unpayable(line.item, line.group) else net
        for line, net in zip(bought, nets, strict=True)
    ]
    certificates = sum(tender.amount for tender in occasion.paid_with_certificates)
    most = paying.most_points(book, unit, sum(spendable), sum(nets) - certificates)
    paying.check(book, unit, occasion, sum(nets), most)
    payment = paying.pay(unit, occasion, nets, spendable)
    bases = _bases(book, bought, payment)
    earned = earn(book, unit, bought, bases, book.percent_for(tier), stacked.counting)
    lines = _lines(book, occasion, bought, off, payment, bases, earned)
    outcome = _outcome(book, occasion, lines, payment, most, tier, zone)
    facts = Facts(bought, stacked, discount_parts, earned, spendable, nets)
    return outcome.model_copy(update={"explanation": explain(book, unit, outcome, facts, zone)})


def _tier(book: RuleBook, occasion: Occasion) -> str | None:
    if occasion.tier is None or not book.tiers:
        found = tiers.tier_for(book, occasion.turnover)
    else:
        found = tiers.find(book, occasion.tier)
        if found is None:
            message = f"there is no tier '{occasion.tier}'"
            raise InputError(f"tier: {message}.", (FieldError("tier", message, "unknown_tier"),))
    return None if found is None else found.code


def _bases(book: RuleBook, bought: Sequence[Goods], payment: Payment) -> list[int]:
    """What of each item earns."""
    bases = []
    for index, line in enumerate(bought):
        base = payment.money[index]
        if book.earn.earn_on_certificates:
            base += sum(payment.certificates[index])
        if book.earn.earn_on_points_paid:
            base += payment.points_money[index]
        bases.append(0 if book.exclusions.excluded(line.item, line.group) else base)
    return bases


def _lines(
    book: RuleBook,
    occasion: Occasion,
    bought: Sequence[Goods],
    off: Sequence[int],
    payment: Payment,
    bases: Sequence[int],
    earned: Earned,
) -> tuple[OutcomeLine, ...]:
    counts = book.tier_base.counts(occasion.organisation)
    lines = []
    for i, line in enumerate(bought):
        part = counts and not book.exclusions.excluded(line.item, line.group)
        lines.append(
            OutcomeLine(
                item=line.item,
                group=line.group,
                name=line.name,
                milli=line.milli,
                sum=line.sum,
                discount=off[i],
                points=payment.points[i],
                points_money=payment.points_money[i],
                certificates=payment.certificates[i],
                money=payment.money[i],
                base=bases[i],
                earned=earned.points[i],
                stamps=earned.stamps[i],
                turnover=payment.money[i] + sum(payment.certificates[i]) if part else 0,
            )
        )
    return tuple(lines)


def _outcome(
    book: RuleBook,
    occasion: Occasion,
    lines: tuple[OutcomeLine, ...],
    payment: Payment,
    most: int,
    tier: str | None,
    zone: ZoneInfo,
) -> Outcome:
    """The totals, the tier and the dates."""
    turnover = sum([line.turnover for line in lines])
    before, off = sum([line.sum for line in lines]), sum([line.discount for line in lines])
    after = tiers.reached(book, occasion.turnover + turnover, tier)
    available = dates.available_from(occasion.at, book.available_after_days, zone)
    return Outcome(
        lines=lines,
        sum=before,
        discount=off,
        payable=before - off,
        most_points_payable=most,
        paid_with_points=occasion.paid_with_points,
        points_money=sum(payment.points_money),
        paid_with_certificates=occasion.paid_with_certificates,
        money=sum(payment.money),
        earned=sum([line.earned for line in lines]),
        stamps=sum([line.stamps for line in lines]),
        tier=tier,
        tier_after=None if after is None else after.code,
        turnover=turnover,
        available_from=available,
        expires_at=dates.expires_at(available, book.lifetime, zone),
    )
