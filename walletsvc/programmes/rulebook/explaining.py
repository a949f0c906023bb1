"""The reasons of a purchase as they are told: prices, payment, earning, what comes after."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from walletsvc.programmes.rulebook.amounts import PointUnit
from walletsvc.programmes.rulebook.basket import Goods
from walletsvc.programmes.rulebook.earning import Earned, Part
from walletsvc.programmes.rulebook.outcome import Outcome
from walletsvc.programmes.rulebook.reasons import Code, Reason, Unit, because
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.rulebook.stacking import Stack
from walletsvc.programmes.rulebook.stamp_cards import Used
from walletsvc.programmes.rulebook.tiers import find

_ROUNDING: Final = {
    "down": Code.ROUNDING_DOWN,
    "half_up": Code.ROUNDING_HALF_UP,
    "up": Code.ROUNDING_UP,
}
_BONUS: Final = {
    "percent": Code.PERCENT,
    "multiplier": Code.MULTIPLIER,
    "fixed": Code.FIXED,
    "fixed_per_item": Code.FIXED_PER_ITEM,
    "stamps": Code.STAMPS,
    "discount": Code.DISCOUNT,
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What was computed on the way to an outcome."""

    goods: Sequence[Goods]
    stacked: Stack
    discounts: Sequence[Part]
    earned: Earned
    spendable: Sequence[int]
    nets: Sequence[int]
    excluded: Collection[int]
    unpayable: Collection[int]
    used: Used | None = None


def explain(
    book: RuleBook, unit: PointUnit, outcome: Outcome, facts: Facts, zone: ZoneInfo
) -> tuple[Reason, ...]:
    """Every reason of the outcome; their amounts sum to its totals."""
    return (
        *_prices(book, unit, outcome, facts),
        *_paying(book, outcome, facts),
        *_earning(book, unit, outcome, facts),
        *_afterwards(book, outcome, zone),
    )


def _prices(book: RuleBook, unit: PointUnit, outcome: Outcome, facts: Facts) -> Iterator[Reason]:
    for part in facts.discounts:
        yield from _part(unit, facts.goods, part, Unit.MONEY)
    if book.stamp_card is not None and facts.used is not None and any(facts.used.units):
        items = [i for i, number in enumerate(facts.used.units) if number]
        data = {"name": book.stamp_card.reward.name.by_language, **_where(facts.goods, items)}
        data["stamps"] = outcome.paid_with_points
        yield because(Code.REWARD, data, Unit.MONEY, Fraction(facts.used.total))
    out = sorted(facts.excluded)
    if out:
        data = {"sum": sum(facts.nets[i] for i in out), "items": _labels(facts.goods, out)}
        yield because(Code.EXCLUDED, data)
    for promotion, by, lines in facts.stacked.gave_way:
        better = by.stacking == "best"
        code = Code.GAVE_WAY_TO_BETTER if better else Code.GAVE_WAY_TO_EXCLUSIVE
        data = promotion.about | _where(facts.goods, lines)
        yield because(code, data | {"by": by.name.by_language, "by_id": by.id})


def _paying(book: RuleBook, outcome: Outcome, facts: Facts) -> Iterator[Reason]:
    if not book.spend.max_share_percent:
        return
    data: dict[str, Any] = {
        "percent": str(book.spend.max_share_percent),
        "sum": sum(facts.spendable),
        "most": outcome.most_points_payable,
    }
    yield because(Code.SPEND, data)
    unpayable = [i for i in sorted(facts.unpayable) if facts.nets[i]]
    if unpayable:
        data = {
            "sum": sum(facts.nets[i] for i in unpayable),
            "items": _labels(facts.goods, unpayable),
        }
        yield because(Code.SPEND_EXCLUDED, data)


def _earning(book: RuleBook, unit: PointUnit, outcome: Outcome, facts: Facts) -> Iterator[Reason]:
    earned = facts.earned
    if outcome.points_money and not book.earn.earn_on_points_paid:
        yield because(Code.POINTS_DO_NOT_EARN, {"sum": outcome.points_money})
    certificates = sum(tender.amount for tender in outcome.paid_with_certificates)
    if certificates and not book.earn.earn_on_certificates:
        yield because(Code.CERTIFICATES_DO_NOT_EARN, {"sum": certificates})
    base = sum([line.base for line in outcome.lines])
    if earned.base:
        data: dict[str, Any] = {"percent": str(book.percent_for(outcome.tier)), "sum": base}
        code, tier = Code.BASE, find(book, outcome.tier)
        if tier is not None and book.earn.percent is None:
            code, data["tier"] = Code.BASE_OF_TIER, tier.name.by_language
        yield because(code, data, Unit.POINTS, unit.exact(earned.base))
    for part in earned.parts:
        stamping = part.promotion.effect.kind == "stamps"
        yield from _part(unit, facts.goods, part, Unit.STAMPS if stamping else Unit.POINTS)
    rounding = earned.before_cap - unit.exact(earned.before_rounding)
    if rounding:
        yield because(_ROUNDING[book.rounding.points], {}, Unit.POINTS, rounding)
    if outcome.earned < earned.before_cap:
        data = {"percent": str(book.max_earn_percent), "sum": base}
        less = Fraction(outcome.earned - earned.before_cap)
        yield because(Code.CAP, data, Unit.POINTS, less)


def _afterwards(book: RuleBook, outcome: Outcome, zone: ZoneInfo) -> Iterator[Reason]:
    tier = find(book, outcome.tier_after)
    if tier is not None and outcome.tier_after != outcome.tier:
        yield because(Code.TIER_UP, {"tier": tier.name.by_language})
    if outcome.earned:
        if book.available_after_days:
            day = outcome.available_from.astimezone(zone).date()
            yield because(Code.AVAILABLE, {"date": day.isoformat()})
        if outcome.expires_at is not None:
            last = outcome.expires_at.astimezone(zone).date() - timedelta(days=1)
            yield because(Code.EXPIRES, {"date": last.isoformat()})


def _part(unit: PointUnit, goods: Sequence[Goods], part: Part, counts: Unit) -> Iterator[Reason]:
    """What a promotion brings, and what its limit takes away again."""
    effect, limit = part.promotion.effect, part.promotion.limit
    exact = unit.exact if counts is Unit.POINTS else Fraction
    about = part.promotion.about
    data = {**about, **effect.told, "sum": part.of}
    if len(part.items) != len(goods):
        data["items"] = _labels(goods, part.items)
    if effect.points is not None:
        data["points"] = effect.points * unit.whole
    yield because(_BONUS[effect.kind], data, counts, exact(part.amount))
    if part.cut and limit is not None:
        most = limit.money or limit.stamps or (limit.points or 0) * unit.whole
        data = about | {"limit": most}
        yield because(Code.LIMIT, data, counts, -exact(part.cut))


def _where(goods: Sequence[Goods], items: Sequence[int]) -> dict[str, Any]:
    """The items concerned, unless it is all of them."""
    return {} if len(items) == len(goods) else {"items": _labels(goods, items)}


def _labels(goods: Sequence[Goods], items: Iterable[int]) -> list[str | None]:
    return [goods[i].name or goods[i].item or goods[i].group for i in items]
