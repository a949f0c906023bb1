"""Which promotions count on which lines: conditions first, then who gives way to whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from walletsvc.programmes.rulebook.amounts import GRAINS, off, percents_of, spread
from walletsvc.programmes.rulebook.basket import MILLI, Goods, Occasion
from walletsvc.programmes.rulebook.fields import given
from walletsvc.programmes.rulebook.promotions import Dates, Hours, Promotion, When
from walletsvc.programmes.rulebook.schemas import RuleBook


class Hit(NamedTuple):
    """A promotion and the lines that it hits, or on which it counts."""

    promotion: Promotion
    lines: list[int]


@dataclass(frozen=True, slots=True)
class Stack:
    """What counts, by priority, and which promotion gave way to which on which lines."""

    counting: Sequence[Hit]
    gave_way: list[tuple[Promotion, Promotion, list[int]]]


def stack(
    book: RuleBook,
    goods: Sequence[Goods],
    out: Collection[int],
    occasion: Occasion,
    tier: str | None,
) -> Stack:
    """Settle on every line which promotions count there; those that are `out` get none."""
    bill = sum([line.sum for line in goods])
    takes_part = [index for index in range(len(goods)) if index not in out]
    by_item: Places = defaultdict(list)
    by_group: Places = defaultdict(list)
    for index in takes_part:
        by_item[goods[index].item].append(index)
        by_group[goods[index].group].append(index)
    hits = []
    for promotion in book.ordered:
        when = promotion.when
        if not occasion.present and promotion.effect.kind == "discount":
            continue  # and so nothing gives way to it
        if when.always or applies(when, occasion, bill, tier):
            lines = takes_part if when.every_line else _lines(when, by_item, by_group)
            if lines:
                hits.append(Hit(promotion, lines))
    return _settle(book, goods, hits, tier)


# Where each item or group stands on the bill.
Places = dict[str | None, list[int]]


def _lines(when: When, by_item: Places, by_group: Places) -> list[int]:
    """The lines that the promotion chooses; each once, whether by its item, its group or both."""
    chosen: set[int] = set()
    if when.items is not None:
        for item in by_item.keys() & when.chosen_items:
            chosen.update(by_item[item])
    if when.item_groups is not None:
        for group in by_group.keys() & when.chosen_groups:
            chosen.update(by_group[group])
    return sorted(chosen)


def _settle(book: RuleBook, goods: Sequence[Goods], hits: Sequence[Hit], tier: str | None) -> Stack:
    """`hits` go by priority: the first exclusive one on a line is the one that counts there."""
    alone: dict[int, int] = {}
    best = []
    for number, hit in enumerate(hits):
        stacking = hit.promotion.stacking
        if stacking == "best":
            best.append(number)
        elif stacking == "exclusive":
            for index in hit.lines:
                alone.setdefault(index, number)
    if not alone and len(best) < 2:
        return Stack(hits, [])
    winners = _winners(book, goods, hits, best, tier)
    counting, gave_way = [], []
    for number, hit in enumerate(hits):
        if not alone and number not in winners:
            counting.append(hit)
            continue
        by_line = winners.get(number, {})
        stays: list[int] = []
        lost: dict[int, list[int]] = defaultdict(list)
        for index in hit.lines:
            winner = alone.get(index, by_line.get(index, number))
            (stays if winner == number else lost[winner]).append(index)
        if stays:
            counting.append(Hit(hit.promotion, stays))
        gave_way += [(hit.promotion, hits[n].promotion, lost[n]) for n in sorted(lost)]
    return Stack(counting, gave_way)


def _winners(
    book: RuleBook,
    goods: Sequence[Goods],
    hits: Sequence[Hit],
    best: Sequence[int],
    tier: str | None,
) -> dict[int, dict[int, int]]:
    """For each of several `best` hits the one that gives each of its lines most."""
    if len(best) < 2:
        return {}
    top: dict[int, tuple[tuple[int, int], int]] = {}
    for number, worths in zip(best, _worths(book, goods, hits, best, tier), strict=True):
        for index, worth in zip(hits[number].lines, worths, strict=True):
            if index not in top or worth > top[index][0]:
                top[index] = worth, number
    winner = {index: number for index, (_, number) in top.items()}
    return dict.fromkeys(best, winner)


def _worths(
    book: RuleBook,
    goods: Sequence[Goods],
    hits: Sequence[Hit],
    best: Sequence[int],
    tier: str | None,
) -> list[list[tuple[int, int]]]:
    """What each `best` promotion gives its lines, to compare: as if all were paid with money.

    Grains of money, without limits; points count with their value in money. Stamps have none, so
    they only compare with stamps.
    """
    nets = [line.sum for line in goods]
    for promotion, lines in hits:
        if promotion.stacking == "add" and promotion.effect.kind == "discount":
            for i, less in zip(lines, discounts_of(goods, lines, promotion), strict=True):
                nets[i] = max(nets[i] - less, 0)
    percent = book.percent_for(tier)
    return [_worth(book, goods, hits[number], nets, percent) for number in best]


def _worth(
    book: RuleBook, goods: Sequence[Goods], hit: Hit, nets: Sequence[int], percent: Decimal
) -> list[tuple[int, int]]:
    promotion, lines = hit
    effect = promotion.effect
    points = (effect.points or 0) * book.point_value
    match effect.kind:
        case "discount":
            less = discounts_of(goods, lines, promotion)
            values = [min(each, nets[i]) * GRAINS for i, each in zip(lines, less, strict=True)]
        case "percent":
            values = percents_of([nets[i] for i in lines], given(effect.percent))
        case "multiplier":
            values = multiplied(percents_of([nets[i] for i in lines], percent), promotion)
        case "fixed":
            values = spread(points * GRAINS, [nets[i] for i in lines])
        case "fixed_per_item":
            values = [per_item(points, goods[i].milli) for i in lines]
        case "stamps":
            by_unit, count = effect.per == "unit", given(effect.count)
            return [(0, count * (goods[i].milli // MILLI if by_unit else 1)) for i in lines]
    return [(value, 0) for value in values]


def discounts_of(goods: Sequence[Goods], lines: Sequence[int], promotion: Promotion) -> list[int]:
    """The percentage of each line's price, to the kopeck, half up."""
    return off([goods[i].sum for i in lines], promotion.effect.hundredths)


def multiplied(bases: Sequence[int], promotion: Promotion) -> list[int]:
    """What a multiplier adds to base earnings in grains, all of them multiples of 100 grains."""
    more = promotion.effect.hundredths - 100
    return [base * more // 100 for base in bases]


def per_item(points_money: int, milli: int) -> int:
    """So much money for each unit of a quantity in thousandths, in grains."""
    return points_money * milli * (GRAINS // MILLI)


def applies(when: When, occasion: Occasion, bill: int, tier: str | None) -> bool:
    """Whether the conditions hold that look at the whole purchase."""
    return (
        (when.tiers is None or tier in when.tiers)
        and (when.min_sum is None or bill >= when.min_sum)
        and (when.channels is None or occasion.channel in when.channels)
        and (when.first_purchase is None or when.first_purchase == occasion.first_purchase)
        and (when.anywhere or _at_place(when, occasion))
        and (when.anytime or _at_time(when, occasion))
    )


def _at_time(when: When, occasion: Occasion) -> bool:
    day = _day(when.hours, occasion)
    return (
        day is not None
        and (when.weekdays is None or day.isoweekday() in when.weekdays)
        and (when.dates is None or _on_dates(when.dates, day))
        and _near_birthday(when, occasion.birthday, day)
    )


def _day(hours: Hours | None, occasion: Occasion) -> date | None:
    """The day whose hours these are (a night belongs to the day it began on), None outside them."""
    day = occasion.day
    if hours is None:
        return day
    now = occasion.clock
    if hours.from_ < hours.until:
        return day if hours.from_ <= now < hours.until else None
    if now >= hours.from_:
        return day
    return day - timedelta(days=1) if now < hours.until else None


def _at_place(when: When, occasion: Occasion) -> bool:
    if when.organisations is not None and occasion.organisation not in when.organisations:
        return False
    if when.branches is None and when.branch_groups is None:
        return True
    return occasion.branch in (when.branches or ()) or any(
        group in (when.branch_groups or ()) for group in occasion.branch_groups
    )


def _on_dates(dates: Dates, day: date) -> bool:
    return (dates.from_ is None or dates.from_ <= day) and (
        dates.until is None or day <= dates.until
    )


def _near_birthday(when: When, birthday: date | None, day: date) -> bool:
    span = when.birthday_days
    if span is None:
        return True
    if birthday is None:
        return False
    away = [
        (day - birthday_in(year, birthday)).days for year in (day.year - 1, day.year, day.year + 1)
    ]
    return any(-span.before <= days <= span.after for days in away)


def birthday_in(year: int, birthday: date) -> date:
    """The birthday in a year; who was born on the 29th of February has it on the 28th otherwise."""
    try:
        return birthday.replace(year=year)
    except ValueError:
        return date(year, 2, 28)
