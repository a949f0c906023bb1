"""Which promotions count on which lines: conditions first, then who gives way to whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from walletsvc.programmes.rulebook.amounts import GRAINS, half_up, percents_of, spread
from walletsvc.programmes.rulebook.basket import MILLI, Goods, Occasion
from walletsvc.programmes.rulebook.fields import given
from walletsvc.programmes.rulebook.promotions import Hours, Promotion, When
from walletsvc.programmes.rulebook.schemas import RuleBook


class Hit(NamedTuple):
    """A promotion and the lines that it hits, or on which it counts."""

    promotion: Promotion
    lines: list[int]


@dataclass(frozen=True, slots=True)
class Stack:
    """What counts, by priority, and which promotion gave way to which on which lines."""

    counting: list[Hit]
    gave_way: list[tuple[Promotion, Promotion, list[int]]]


def stack(book: RuleBook, goods: Sequence[Goods], occasion: Occasion, tier: str | None) -> Stack:
    """Settle on every line which promotions count there; excluded lines get none."""
    bill = sum(line.sum for line in goods)
    takes_part = [
        index
        for index, line in enumerate(goods)
        if not book.exclusions.excluded(line.item, line.group)
    ]
    by_item: Places = defaultdict(list)
    by_group: Places = defaultdict(list)
    for index in takes_part:
        by_item[goods[index].item].append(index)
        by_group[goods[index].group].append(index)
    hits = [
        Hit(promotion, _lines(promotion.when, by_item, by_group, takes_part))
        for promotion in book.ordered
        if applies(promotion.when, occasion, bill, tier)
    ]
    here: dict[int, list[int]] = {index: [] for index in takes_part}
    for number, hit in enumerate(hits):
        for index in hit.lines:
            here[index].append(number)
    return _settle(hits, here, _worths(book, goods, hits, tier))


# Where each item or group stands on the bill.
Places = dict[str | None, list[int]]


def _lines(when: When, by_item: Places, by_group: Places, takes_part: list[int]) -> list[int]:
    """The lines that the promotion chooses; each once, whether by its item, its group or both."""
    if when.every_line:
        return takes_part
    chosen = {i for item in by_item.keys() & when.chosen_items for i in by_item[item]}
    if when.chosen_groups:
        chosen.update(i for group in by_group.keys() & when.chosen_groups for i in by_group[group])
    return sorted(chosen)


def _settle(hits: Sequence[Hit], here: dict[int, list[int]], worths: dict[int, Worths]) -> Stack:
    counts: list[list[int]] = [[] for _ in hits]
    gave_way: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, numbers in here.items():
        # `hits` go by priority: the first exclusive one is the one that counts.
        winner = next((n for n in numbers if hits[n].promotion.stacking == "exclusive"), None)
        losers = numbers
        if winner is None:
            losers = [number for number in numbers if number in worths]
            if losers:
                winner = max(losers, key=lambda n: (worths[n][index], -n))
        for number in numbers:
            if winner is None or number == winner or number not in losers:
                counts[number].append(index)
            else:
                gave_way[number, winner].append(index)
    return Stack(
        [Hit(hit.promotion, lines) for hit, lines in zip(hits, counts, strict=True) if lines],
        [
            (hits[loser].promotion, hits[winner].promotion, lines)
            for (loser, winner), lines in sorted(gave_way.items())
        ],
    )


# What a promotion gives each line that it hits: grains of money, and stamps.
Worths = dict[int, tuple[int, int]]


def _worths(
    book: RuleBook, goods: Sequence[Goods], hits: Sequence[Hit], tier: str | None
) -> dict[int, Worths]:
    """What each `best` promotion gives, to compare: as if all were paid with money, no limits.

    Points count with their value in money; stamps have none, so they only compare with stamps.
    """
    best = {n: hit for n, hit in enumerate(hits) if hit.promotion.stacking == "best"}
    if not best:
        return {}
    nets = [line.sum for line in goods]
    for promotion, lines in hits:
        if promotion.stacking == "add" and promotion.effect.kind == "discount":
            for i in lines:
                nets[i] = max(nets[i] - discount(goods[i].sum, promotion), 0)
    percent = book.percent_for(tier)
    return {
        n: dict(zip(hit.lines, _worth(book, goods, hit, nets, percent), strict=True))
        for n, hit in best.items()
    }


def _worth(
    book: RuleBook, goods: Sequence[Goods], hit: Hit, nets: Sequence[int], percent: Decimal
) -> list[tuple[int, int]]:
    promotion, lines = hit
    effect = promotion.effect
    points = (effect.points or 0) * book.point_value
    match effect.kind:
        case "discount":
            off = [min(discount(goods[i].sum, promotion), nets[i]) for i in lines]
            values = [amount * GRAINS for amount in off]
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


def discount(price: int, promotion: Promotion) -> int:
    """The percentage of a line's price, to the kopeck, half up."""
    return half_up(price * promotion.effect.hundredths, 10_000)


def multiplied(bases: Sequence[int], promotion: Promotion) -> list[int]:
    """What a multiplier adds to base earnings in grains, all of them multiples of 100 grains."""
    more = promotion.effect.hundredths - 100
    return [base * more // 100 for base in bases]


def per_item(points_money: int, milli: int) -> int:
    """So much money for each unit of a quantity in thousandths, in grains."""
    return points_money * milli * (GRAINS // MILLI)


def applies(when: When, occasion: Occasion, bill: int, tier: str | None) -> bool:
    """Whether the conditions hold that look at the whole purchase."""
    day = _day(when.hours, occasion)
    return (
        day is not None
        and _at_place(when, occasion)
        and (when.channels is None or occasion.channel in when.channels)
        and (when.tiers is None or tier in when.tiers)
        and (when.first_purchase is None or when.first_purchase == occasion.first_purchase)
        and (when.min_sum is None or bill >= when.min_sum)
        and (when.weekdays is None or day.isoweekday() in when.weekdays)
        and _on_dates(when, day)
        and _near_birthday(when, occasion.birthday, day)
    )


def _day(hours: Hours | None, occasion: Occasion) -> date | None:
    """The day whose hours these are (a night belongs to the day it began on), None outside them."""
    day = occasion.at.date()
    if hours is None:
        return day
    now = f"{occasion.at:%H:%M}"
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


def _on_dates(when: When, day: date) -> bool:
    dates = when.dates
    if dates is None:
        return True
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
