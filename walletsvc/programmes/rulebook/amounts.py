"""Exact arithmetic on whole numbers: shares that add up, rounding, points and money.

Earnings are computed in grains, a millionth of a minor unit of money: percents with two decimals,
factors with two and quantities with three stay exact there, and sums need no fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

GRAINS: Final = 10**6  # in a minor unit of money


def half_up(numerator: int, denominator: int) -> int:
    """The quotient to the nearest whole, halves upwards; both are not below zero."""
    return (2 * numerator + denominator) // (2 * denominator)


def rounded(numerator: int, denominator: int, way: str) -> int:
    """The quotient as a whole: `down`, `half_up` or `up`."""
    if way == "down":
        return numerator // denominator
    if way == "up":
        return -(-numerator // denominator)
    return half_up(numerator, denominator)


def spread(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` in whole parts in proportion to `weights`: the largest remainders get what is left.

    The parts sum to `amount`; of equal remainders the first wins. No part is more than its weight
    when `amount` is not more than all weights. Without any weight everything is the first one's.
    """
    if not amount:
        return [0] * len(weights)
    total = sum(weights)
    if total == 0:
        return [amount if index == 0 else 0 for index in range(len(weights))]
    parts = [amount * weight // total for weight in weights]
    left = amount - sum(parts)
    if left:
        remainders = [amount * weight % total for weight in weights]
        by_remainder = sorted(range(len(weights)), key=lambda i: -remainders[i])
        for index in by_remainder[:left]:
            parts[index] += 1
    return parts


def apportioned(amount: int, weights: Sequence[int]) -> list[int]:
    """The same, but a larger amount never makes a part smaller; a part may miss its exact share
    by more than one where there are many. No part is more than its weight here either."""
    total = sum(weights)
    if not amount or not total:
        return spread(amount, weights)
    # Webster's way: unit by unit to whom it is nearest due, of equals to the first.
    parts = [half_up(amount * weight, total) for weight in weights]
    places = range(len(weights))
    while sum(parts) < amount:
        parts[max(places, key=lambda i: (Fraction(weights[i], 2 * parts[i] + 1), -i))] += 1
    while sum(parts) > amount:
        some = [i for i in places if parts[i]]
        parts[min(some, key=lambda i: (Fraction(weights[i], 2 * parts[i] - 1), -i))] -= 1
    return parts


def hundredths(number: Decimal) -> int:
    """A percent or a factor with up to two decimals as a whole number."""
    return int(number.scaleb(2))


def off(amounts: Sequence[int], each: int) -> list[int]:
    """So many hundredths of a percent of each amount, to a whole minor unit, half up."""
    return [(2 * amount * each + 10_000) // 20_000 for amount in amounts]


def percent_of(amount: int, percent: Decimal) -> int:
    """A percentage of money in grains, exact."""
    return amount * hundredths(percent) * (GRAINS // 10_000)


def percents_of(amounts: Sequence[int], percent: Decimal) -> list[int]:
    """The same of each amount."""
    each = hundredths(percent) * (GRAINS // 10_000)
    return [amount * each for amount in amounts]


class PointUnit:
    """The programme's points beside its money: `value` minor units of money are a whole point.

    Points are counted in units of 10**-`scale` points.
    """

    __slots__ = ("grains", "scale", "value", "whole")

    def __init__(self, value: int, scale: int) -> None:
        if scale not in (0, 2):
            raise ValueError("the scale of points is 0 or 2")
        self.value = value
        self.scale = scale
        self.whole: int = 10**scale
        self.grains = value * GRAINS // self.whole  # in a minor unit of points

    def worth(self, points: int) -> int:
        """What so many minor units of points pay, in whole minor units of money."""
        return points * self.value // self.whole

    def affordable(self, money: int) -> int:
        """The most minor units of points that are worth no more than this."""
        return money * self.whole // self.value

    def exact(self, grains: int) -> Fraction:
        """Grains of money as minor units of points."""
        return Fraction(grains, self.grains)
