"""What the dice of a history are thrown for."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final, TypeVar

T = TypeVar("T")
Draw = Callable[[Random], Any]


def one_of(*values: object) -> Draw:
    return lambda dice: dice.choice(values)


def between(low: int, high: int) -> Draw:
    return lambda dice: dice.randint(low, high)


def maybe(draw: Draw) -> Draw:
    return lambda dice: draw(dice) if dice.random() < 0.5 else None


def hours(dice: Random) -> int:
    return dice.choice([dice.randint(1, 12), dice.randint(24, 21 * 24)])


# What happens on the way: nothing, the same key again, or a crash at the n-th statement or at
# the commit. A verb of fewer statements is not hit.
HOW: Final = one_of(*[None] * 9, *["twice"] * 3, 1, 2, 3, 4, 5, 6, 7, "commit")
AMOUNT: Final = between(1, 120)
PART: Final = maybe(between(1, 90))
WHICH: Final = between(0, 2**16)
YES: Final = one_of(True, False)
MINIMUM: Final = (0, -40, -200)


def may(weight: int, **arguments: Draw) -> Callable[[T], T]:
    """What may happen in a step, how often beside the rest, and with which arguments."""

    def mark(method: T) -> T:
        vars(method)["chance"] = (weight, arguments)
        return method

    return mark
