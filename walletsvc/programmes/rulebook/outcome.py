"""What a purchase brings, as it is answered to the till and stored with the purchase."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from pydantic import Field

from walletsvc.programmes.rulebook.basket import Tender
from walletsvc.programmes.rulebook.fields import Strict
from walletsvc.programmes.rulebook.reasons import Reason


class OutcomeLine(Strict):
    """One item of the bill: how it is paid, to the last kopeck, and what it brings.

    `sum` - `discount` = `points_money` + all `certificates` + `money`. `milli` is the quantity in
    thousandths, `points` what of the points paid falls on it, `base` what of its price earns,
    `turnover` what it adds to the tier base where the organisation counts. `certificates` are in
    the order of the outcome's.
    """

    item: str | None
    group: str | None
    name: str | None
    milli: int
    sum: int
    discount: int
    points: int
    points_money: int
    certificates: tuple[int, ...]
    money: int
    base: int
    earned: int
    stamps: int
    turnover: int

    @property
    def net(self) -> int:
        """What had to be paid for it, in whatever form."""
        return self.sum - self.discount


class Outcome(Strict):
    """The result of applying one rule book to one purchase; a quote and its purchase are equal.

    Money in minor units, `earned`, `paid_with_points` and `most_points_payable` in minor units of
    points. `payable` is the bill after discounts, `money` what is left of it to pay with money.
    `turnover` is what the purchase adds to the tier base under rules that count its organisation,
    whether or not this book does; `tier` decided the earning, `tier_after` counts from the next
    purchase on. Points may be spent from `available_from` until just before `expires_at` (never
    ends when None). The amounts of `explanation` sum to the totals.
    """

    lines: tuple[OutcomeLine, ...]
    sum: int
    discount: int
    payable: int
    most_points_payable: int
    paid_with_points: int
    points_money: int
    paid_with_certificates: tuple[Tender, ...]
    money: int
    earned: int
    stamps: int
    tier: str | None
    tier_after: str | None
    turnover: int
    available_from: datetime
    expires_at: datetime | None
    explanation: tuple[Reason, ...] = Field(default=())


class Payment(NamedTuple):
    """How each item is paid: points in their units and in money, each certificate, and money."""

    points: list[int]
    points_money: list[int]
    certificates: list[tuple[int, ...]]
    money: list[int]
