"""What is left of a purchase some of which came back; pure.

Under other rules an item costs something else, so what came back of it is a share: that of its
price or, when it cost nothing, of its quantity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from walletsvc.programmes.rulebook.reasons import Unit

_UNITS: Final = (Unit.POINTS, Unit.STAMPS, Unit.MONEY)

Sums = tuple[int, int, int, int]  # points earned, stamps, discount, points paid


def shares_kept(
    lines: Sequence[Mapping[str, Any]], returned: Sequence[tuple[int, int]]
) -> list[Fraction]:
    """What share of each line stayed with the customer."""
    kept = []
    for line, (money, milli) in zip(lines, returned, strict=True):
        net = line["sum"] - line["discount"]
        whole, back = (net, money) if net else (line["milli"], milli)
        kept.append(Fraction(whole - back, whole) if whole else Fraction(1))
    return kept


def rest(amounts: Iterable[int], kept: Sequence[Fraction]) -> int:
    """What is left of the lines' amounts, each rounded as a return rounds it."""
    pairs = zip(amounts, kept, strict=True)
    return sum(amount - int(amount * (1 - share)) for amount, share in pairs)


def sums_left(lines: Sequence[Mapping[str, Any]], kept: Sequence[Fraction]) -> Sums:
    """What the lines brought and took, without what came back."""
    earned, stamps, discount, points = (
        rest([line[name] for line in lines], kept)
        for name in ("earned", "stamps", "discount", "points")
    )
    return earned, stamps, discount, points


def scaled(reasons: Iterable[Mapping[str, Any]], whole: Sums, left: Sums) -> Iterator[Any]:
    """The reasons with amounts that sum to what is left."""
    if whole == left:
        yield from reasons  # nearly always: exact fractions are slow
        return
    share = {
        unit: Fraction(part, all_) if all_ else Fraction(1)
        for unit, part, all_ in zip(_UNITS, left, whole, strict=False)
    }
    for reason in reasons:
        amount = Fraction(reason["amount"]) * share.get(reason["unit"], Fraction(1))
        yield {**reason, "amount": amount}
