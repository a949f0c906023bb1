"""What is bought, and the occasion: who, where, when, and how it is paid.

Lines of the same item and group count as one, in one fixed order, before anything is computed: so
neither the order of lines nor how a quantity is split over them can change a result.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, Self

from pydantic import AwareDatetime, Field, model_validator

from walletsvc.programmes.rulebook.amounts import half_up, spread
from walletsvc.programmes.rulebook.fields import (
    NOT_EMPTY,
    Amount,
    Code,
    Label,
    Quantity,
    Slug,
    Strict,
    Wrong,
    given,
    refuse,
    repeated,
)

if TYPE_CHECKING:
    from walletsvc.programmes.rulebook.outcome import Outcome

MILLI: Final = 1000  # quantities are counted in thousandths
_YEARS: Final = (2000, 2099)


class Line(Strict):
    """A line of the bill: `price` per unit or `sum` of the line, in minor units, before discounts.

    Give `sum` where the till has rounded it already. `name` is only shown.
    """

    item: Code | None = None
    group: Code | None = None
    name: Label | None = None
    quantity: Quantity = Decimal(1)
    price: Amount | None = None
    sum: Amount | None = None

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        if (self.price is None) == (self.sum is None):
            refuse("Line", [Wrong(("price",), "required", "give either price or sum")])
        return self

    @cached_property
    def milli(self) -> int:
        """The quantity in thousandths."""
        return int(self.quantity * MILLI)

    @property
    def milli_sum(self) -> int:
        """The sum in thousandths of a minor unit, exact."""
        if self.sum is not None:
            return self.sum * MILLI
        return given(self.price) * self.milli


class Basket(Strict):
    """The bill: its lines, or only its total where the till sends no lines."""

    lines: Annotated[tuple[Line, ...], *NOT_EMPTY, Field(max_length=1_000)] | None = None
    total: Amount | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.lines is None) == (self.total is None):
            refuse("Basket", [Wrong(("lines",), "required", "give either lines or total")])
        return self

    @property
    def as_given(self) -> tuple[Line, ...]:
        """The lines as they came; a mere total is one line without an item."""
        return self.lines or (Line(sum=self.total),)


class Position(NamedTuple):
    """What one line of the bill, as it was given, has of the result; amounts as in the outcome."""

    sum: int
    discount: int
    points_money: int
    earned: int


class Goods(NamedTuple):
    """All lines of one item and group: the quantity in thousandths and the sum in minor units."""

    item: str | None
    group: str | None
    name: str | None
    milli: int
    sum: int


Key = tuple[str, str]


def _key(item: str | None, group: str | None) -> Key:
    return item or "", group or ""


def goods(basket: Basket) -> list[Goods]:
    """The bill by item and group, in the order of their codes; sums are rounded once, half up."""
    found: dict[Key, list[Line]] = defaultdict(list)
    for line in basket.as_given:
        found[_key(line.item, line.group)].append(line)
    merged = []
    for key in sorted(found):
        lines = found[key]
        if len(lines) == 1:
            (line,) = lines
            exact = line.milli_sum
            merged.append(
                Goods(line.item, line.group, line.name, line.milli, half_up(exact, MILLI))
            )
            continue
        first, names = lines[0], [line.name for line in lines if line.name]
        milli = sum([line.milli for line in lines])
        exact = sum([line.milli_sum for line in lines])
        name = min(names) if names else None
        merged.append(Goods(first.item, first.group, name, milli, half_up(exact, MILLI)))
    return merged


def positions(basket: Basket, outcome: Outcome) -> list[Position]:
    """The outcome on the lines as they were given, for a till that prints a discount on each."""
    places: dict[Key, list[int]] = defaultdict(list)
    bill = basket.as_given
    for index, line in enumerate(bill):
        places[_key(line.item, line.group)].append(index)
    result: dict[int, Position] = {}
    for part in outcome.lines:
        where = places[_key(part.item, part.group)]
        sums = spread(part.sum, [bill[index].milli_sum for index in where])
        spreads = [spread(n, sums) for n in (part.discount, part.points_money, part.earned)]
        for index, *amounts in zip(where, sums, *spreads, strict=True):
            result[index] = Position(*amounts)
    return [result[index] for index in range(len(bill))]


class Tender(Strict):
    """A gift certificate that pays part of the bill, in minor units."""

    id: Code
    amount: Annotated[Amount, Field(ge=1)]


class Occasion(Strict):
    """Everything about a purchase that is not on the bill.

    `at` carries the branch's own offset, for weekdays, hours and days are local to the branch.
    `tier` is the customer's before the purchase, by `turnover` (the tier base before it) when it
    is not given. `present`: the holder has shown to be there, as far as the programme asks for it;
    else nothing is taken off. `paid_with_points` is in minor units of points, certificates in minor
    units of money.
    """

    at: AwareDatetime
    organisation: Slug
    branch: Code | None = None
    branch_groups: tuple[Slug, ...] = ()
    channel: Slug | None = None
    tier: Slug | None = None
    turnover: Amount = 0
    first_purchase: bool = False
    birthday: date | None = None
    present: bool = True
    paid_with_points: Amount = 0
    paid_with_certificates: Annotated[tuple[Tender, ...], Field(max_length=50)] = ()

    @cached_property
    def clock(self) -> str:
        """The local time, as rules write hours."""
        return f"{self.at:%H:%M}"

    @cached_property
    def day(self) -> date:
        """The local day."""
        return self.at.date()

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        ids = (tender.id for tender in self.paid_with_certificates)
        wrongs = repeated(ids, "paid_with_certificates", key="id")
        if not _YEARS[0] <= self.at.year <= _YEARS[1]:
            wrongs.append(Wrong(("at",), "out_of_range", "must be a year of this century"))
        refuse("Occasion", wrongs)
        return self
