"""A card to be filled with stamps, and what a full one buys.

A card is no record of its own: so many stamps are one full card, what is left over is on the next
one. So nothing has to be turned over when a card is full, and a return undoes it by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from walletsvc.core.errors import Refused
from walletsvc.programmes.rulebook.amounts import half_up, hundredths
from walletsvc.programmes.rulebook.basket import MILLI, Goods
from walletsvc.programmes.rulebook.fields import Names, Percent, Strict
from walletsvc.programmes.rulebook.promotions import Codes

_WHOLE: Final = 10_000  # hundredths of a percent


class Reward(Strict):
    """What a full card buys: `percent` off one unit of the goods named, all goods when none are.

    It is the customer's choice to use it, and the cheapest units of the bill that it is used on.
    """

    name: Names
    items: Codes | None = None
    item_groups: Codes | None = None
    percent: Annotated[Percent, Field(gt=0)] = Decimal(100)

    @cached_property
    def _chosen(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(self.items or ()), frozenset(self.item_groups or ())

    def buys(self, goods: Goods) -> bool:
        """Whether a full card may be used on these."""
        if self.items is None and self.item_groups is None:
            return True
        items, groups = self._chosen
        return goods.item in items or goods.group in groups

    @cached_property
    def hundredths(self) -> int:
        """The percent in hundredths."""
        return hundredths(self.percent)


class StampCard(Strict):
    """How many `stamps` fill a card, and what it is good for then."""

    stamps: Annotated[int, Field(strict=True, ge=1, le=1_000)]
    reward: Reward


class Collected(NamedTuple):
    """Stamps as people count them: on the card that is being filled, of how many, and full cards
    that were not used yet."""

    stamps: int
    needed: int
    rewards: int


def collected(card: StampCard, stamps: int) -> Collected:
    """What so many stamps are."""
    rewards, left = divmod(max(stamps, 0), card.stamps)
    return Collected(left, card.stamps, rewards)


@dataclass(frozen=True, slots=True)
class Used:
    """What full cards take off each item, and how many of its units they were used on."""

    off: list[int]
    units: list[int]

    @property
    def total(self) -> int:
        """What all of them take off, in minor units of money."""
        return sum(self.off)


def most_stamps(
    card: StampCard,
    goods: Sequence[Goods],
    nets: Sequence[int],
    excluded: Collection[int],
    certificates: int,
) -> int:
    """The most stamps that may be used on a bill: full cards, one for each unit that has a price.

    What `certificates` (minor units of money) pay is left for them to pay.
    """
    left = sum(nets) - certificates
    low, high = 0, sum(_units(card, goods, nets, excluded))
    if certificates == 0:
        return high * card.stamps
    while low < high:
        middle = (low + high + 1) // 2
        if _use(card, goods, nets, excluded, middle).total <= left:
            low = middle
        else:
            high = middle - 1
    return low * card.stamps


def use(
    card: StampCard,
    goods: Sequence[Goods],
    nets: Sequence[int],
    excluded: Collection[int],
    stamps: int,
    most: int,
) -> Used:
    """Full cards used on the cheapest units after discounts (`nets`).

    Raises Refused for more than `most`, and for what is not so many full cards.
    """
    if stamps > most:
        raise Refused("So many stamps cannot be used on this bill.", most_points=most)
    if stamps % card.stamps:
        raise Refused("Stamps are used as full cards.", min_points=card.stamps, step=card.stamps)
    return _use(card, goods, nets, excluded, stamps // card.stamps)


def _use(
    card: StampCard,
    goods: Sequence[Goods],
    nets: Sequence[int],
    excluded: Collection[int],
    cards: int,
) -> Used:
    there = _units(card, goods, nets, excluded)
    off, units = [0] * len(goods), [0] * len(goods)
    # Goods stand in the order of their codes: of equal prices the first, whatever the till sent.
    by_price = sorted(
        (i for i, number in enumerate(there) if number),
        key=lambda i: Fraction(nets[i], goods[i].milli),
    )
    for i in by_price:
        units[i] = min(cards, there[i])
        cards -= units[i]
        part = nets[i] * units[i] * MILLI * card.reward.hundredths
        off[i] = half_up(part, goods[i].milli * _WHOLE)
    return Used(off, units)


def _units(
    card: StampCard, goods: Sequence[Goods], nets: Sequence[int], excluded: Collection[int]
) -> list[int]:
    """How many whole units of each item a full card may be used on."""
    return [
        line.milli // MILLI if nets[i] and i not in excluded and card.reward.buys(line) else 0
        for i, line in enumerate(goods)
    ]
