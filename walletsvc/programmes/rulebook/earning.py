"""What a purchase earns and what it is let off, item by item, before anything is explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from walletsvc.programmes.rulebook.amounts import (
    GRAINS,
    PointUnit,
    percent_of,
    percents_of,
    rounded,
    spread,
)
from walletsvc.programmes.rulebook.basket import MILLI, Goods
from walletsvc.programmes.rulebook.fields import given
from walletsvc.programmes.rulebook.promotions import Promotion
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.rulebook.stacking import Hit, discounts_of, multiplied, per_item


@dataclass(frozen=True, slots=True)
class Part:
    """What one promotion brings: over which items, of what sum, and what its limit takes away.

    `amount` (before the limit) and `cut` are minor units of money for a discount, stamps for
    stamps, grains of money for points.
    """

    promotion: Promotion
    items: list[int]
    of: int
    amount: int
    cut: int


@dataclass(frozen=True, slots=True)
class Earned:
    """Points and stamps of each item, and how it came to them; sums before rounding in grains."""

    points: list[int]
    stamps: list[int]
    base: int
    parts: list[Part]
    before_rounding: int
    before_cap: int


def discounts(goods: Sequence[Goods], counting: Sequence[Hit]) -> tuple[list[int], list[Part]]:
    """What each item is let off, never more than its price, and by which promotions."""
    left = [line.sum for line in goods]
    parts = []
    for promotion, items in counting:
        if promotion.effect.kind != "discount":
            continue
        wanted = discounts_of(goods, items, promotion)
        full = [min(each, left[i]) for i, each in zip(items, wanted, strict=True)]
        limited = _limited(full, promotion.limit.money if promotion.limit else None)
        for index, amount in zip(items, limited, strict=True):
            left[index] -= amount
        if amount := sum(full):
            of = sum([goods[i].sum for i in items])
            parts.append(Part(promotion, items, of, amount, amount - sum(limited)))
    return [line.sum - rest for line, rest in zip(goods, left, strict=True)], parts


def earn(
    book: RuleBook,
    unit: PointUnit,
    goods: Sequence[Goods],
    bases: Sequence[int],
    percent: Decimal,
    counting: Sequence[Hit],
    rewarded: Sequence[int] | None = None,
) -> Earned:
    """Points and stamps, from what of each item earns (`bases`, 0 for what takes no part).

    `rewarded` units of each item, on which full stamp cards were used, bring no stamps.
    """
    stamping = goods if rewarded is None else _without(goods, rewarded)
    plain = percents_of(bases, percent)
    grains = list(plain)
    # Lines that are rounded up may bring together what is `free` of limits, and the limits.
    free, limits = list(plain), 0
    stamps, parts = [0] * len(goods), []
    every = 0 not in bases
    for promotion, hit in counting:
        if promotion.effect.kind == "discount":
            continue
        # What is paid with points alone, or costs nothing, brings no bonus and no stamp either.
        items = hit if every else [i for i in hit if bases[i] > 0]
        if not items:
            continue
        stamps_here = promotion.effect.kind == "stamps"
        if stamps_here:
            full = _stamps(promotion, [stamping[i] for i in items], [bases[i] for i in items])
        else:
            full = _points(promotion, unit, goods, bases, plain, items)
        into = stamps if stamps_here else grains
        most = _limit(promotion, unit)
        limited = _limited(full, most)
        for index, amount in zip(items, limited, strict=True):
            into[index] += amount
            free[index] += amount if most is None and not stamps_here else 0
        limits += 0 if most is None or stamps_here else most
        if amount := sum(full):
            of = sum([bases[i] for i in items])
            parts.append(Part(promotion, items, of, amount, amount - sum(limited)))
    points = _whole(book, unit, grains)
    if limits:
        points = _limited(points, sum(_whole(book, unit, free)) + limits // unit.grains)
    # The cap comes last, on whole points: nothing, not even rounding up, pays more than it says.
    cap = percent_of(sum(bases), book.max_earn_percent) // unit.grains
    if (before_cap := sum(points)) > cap:
        points = spread(cap, points)
    return Earned(points, stamps, sum(plain), parts, sum(grains), before_cap)


def _points(
    promotion: Promotion,
    unit: PointUnit,
    goods: Sequence[Goods],
    bases: Sequence[int],
    plain: Sequence[int],
    items: Sequence[int],
) -> list[int]:
    """What a promotion adds to each of these items, in grains of money."""
    effect = promotion.effect
    match effect.kind:
        case "percent":
            return percents_of([bases[i] for i in items], given(effect.percent))
        case "multiplier":
            return multiplied([plain[i] for i in items], promotion)
        case "fixed":
            return spread(given(effect.points) * unit.value * GRAINS, [bases[i] for i in items])
        case _:
            points = given(effect.points) * unit.value
            return [per_item(points, goods[i].milli) for i in items]


def _stamps(promotion: Promotion, goods: Sequence[Goods], bases: Sequence[int]) -> list[int]:
    """Stamps for each of these items; of units only whole ones count, all items together."""
    count = given(promotion.effect.count)
    if promotion.effect.per == "unit":
        milli = [line.milli for line in goods]
        return spread(sum(milli) // MILLI * count, milli)
    return spread(count, bases)


def _without(goods: Sequence[Goods], units: Sequence[int]) -> list[Goods]:
    """The goods but for so many units of each."""
    return [
        line._replace(milli=line.milli - number * MILLI)
        for line, number in zip(goods, units, strict=True)
    ]


def _limit(promotion: Promotion, unit: PointUnit) -> int | None:
    limit = promotion.limit
    if limit is None:
        return None
    return limit.stamps if limit.points is None else limit.points * unit.value * GRAINS


def _limited(amounts: list[int], limit: int | None) -> list[int]:
    return amounts if limit is None or sum(amounts) <= limit else spread(limit, amounts)


def _whole(book: RuleBook, unit: PointUnit, grains: Sequence[int]) -> list[int]:
    """Whole minor units of points of each item, rounded where and how the book says."""
    way = book.rounding.points
    if book.rounding.of == "line":
        return [rounded(amount, unit.grains, way) for amount in grains]
    return spread(rounded(sum(grains), unit.grains, way), grains)
