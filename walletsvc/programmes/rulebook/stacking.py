"""Which promotions count on which lines: conditions first, then who gives way to whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from walletsvc.programmes.rulebook.amounts import GRAINS, half_up, hundredths, percent_of
from walletsvc.programmes.rulebook.basket import MILLI, Goods, Occasion
from walletsvc.programmes.rulebook.fields import given
from walletsvc.programmes.rulebook.promotions import Hours, Promotion, When
from walletsvc.programmes.rulebook.schemas import RuleBook


@dataclass(slots=True)
class Stack:
    """What counts: each promotion with its lines, by priority; and which gave way to which, where."""

    counting: list[tuple[Promotion, list[int]]] = field(default_factory=list)
    gave_way: list[tuple[Promotion, Promotion, list[int]]] = field(default_factory=list)


def stack(book: RuleBook, goods: Sequence[Goods], occasion: Occasion, tier: str | None) -> Stack:
    """Settle on every line which promotions count there; excluded lines get none."""
    bill = sum(line.sum for line in goods)
    active = [each for each in book.ordered if applies(each.when, occasion, bill, tier)]
    open_to_all = [
        index
        for index, line in enumerate(goods)
        if not book.exclusions.excluded(line.item, line.group)
    ]
    hits: dict[int, list[int]] = {}
    here: dict[int, list[int]] = defaultdict(list)
    for number, promotion in enumerate(active):
        when = promotion.when
        hits[number] = (
            open_to_all
            if when.every_line
            else [i for i in open_to_all if when.takes(goods[i].item, goods[i].group)]
        )
        for index in hits[number]:
            here[index].append(number)
    return _settle(active, hits, here, _Worth(book, goods, active, hits, here, tier))


def _settle(
    active: Sequence[Promotion],
    hits: dict[int, list[int]],
    here: dict[int, list[int]],
    worth: _Worth,
) -> Stack:
    counts: dict[int, list[int]] = defaultdict(list)
    gave_way: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index in sorted(here):
        numbers = here[index]
        winner = _exclusive(active, numbers)
        if winner is not None:
            losers = numbers
        else:
            losers = [number for number in numbers if active[number].stacking == "best"]
            winner = max(losers, key=lambda n: (*worth.of(n, index), -n), default=None)
        for number in numbers:
            if number in losers and number != winner:
                assert winner is not None
                gave_way[number, winner].append(index)
            else:
                counts[number].append(index)
    return Stack(
        [(active[number], counts[number]) for number in sorted(counts)],
        [(active[a], active[b], lines) for (a, b), lines in sorted(gave_way.items())],
    )


def _exclusive(active: Sequence[Promotion], numbers: Sequence[int]) -> int | None:
    """The first exclusive one: `active` is ordered by priority and list."""
    return next((n for n in numbers if active[n].stacking == "exclusive"), None)


class _Worth:
    """What a `best` promotion gives a line, to compare: as if all were paid with money, no limits.

    Points count with their value in money; stamps have none, so they only compare with stamps.
    """

    def __init__(
        self,
        book: RuleBook,
        goods: Sequence[Goods],
        active: Sequence[Promotion],
        hits: dict[int, list[int]],
        here: dict[int, list[int]],
        tier: str | None,
    ) -> None:
        self._book = book
        self._goods = goods
        self._active = active
        self._hits = hits
        self._here = here
        self._percent = book.percent_for(tier)
        self._nets: dict[int, int] = {}

    def net(self, index: int) -> int:
        """The line after the discounts that are added in any case."""
        if index not in self._nets:
            price = self._goods[index].sum
            off = sum(
                discount(price, self._active[number])
                for number in self._here[index]
                if self._active[number].effect.kind == "discount"
                and self._active[number].stacking == "add"
            )
            self._nets[index] = max(price - off, 0)
        return self._nets[index]

    def of(self, number: int, index: int) -> tuple[int, int]:
        """Its value in grains of money, and its stamps."""
        effect, net = self._active[number].effect, self.net(index)
        points = (effect.points or 0) * self._book.point_value
        match effect.kind:
            case "discount":
                return min(discount(self._goods[index].sum, self._active[number]), net) * GRAINS, 0
            case "percent":
                return percent_of(net, given(effect.percent)), 0
            case "multiplier":
                return multiplied(percent_of(net, self._percent), self._active[number]), 0
            case "fixed":
                whole = sum(self.net(line) for line in self._hits[number])
                return (points * GRAINS * net // whole if whole else 0), 0
            case "fixed_per_item":
                return per_item(points, self._goods[index].milli), 0
            case _:
                units = self._goods[index].milli // MILLI if effect.per == "unit" else 1
                return 0, units * given(effect.count)


def discount(price: int, promotion: Promotion) -> int:
    """The percentage of a line's price, to the kopeck, half up."""
    return half_up(price * hundredths(given(promotion.effect.percent)), 10_000)


def multiplied(base: int, promotion: Promotion) -> int:
    """What a multiplier adds to a base earning in grains; bases are multiples of 100 grains."""
    return base * (hundredths(given(promotion.effect.factor)) - 100) // 100


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
    away = [(day - birthday_in(year, birthday)).days for year in (day.year - 1, day.year, day.year + 1)]
    return any(-span.before <= days <= span.after for days in away)


def birthday_in(year: int, birthday: date) -> date:
    """The birthday in a year; who was born on the 29th of February has it on the 28th otherwise."""
    try:
        return birthday.replace(year=year)
    except ValueError:
        return date(year, 2, 28)
