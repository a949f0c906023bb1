"""A promotion: when it applies, to which lines, what it gives, and how it gets on with others."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from walletsvc.programmes.rulebook.amounts import hundredths
from walletsvc.programmes.rulebook.fields import (
    NOT_EMPTY,
    Amount,
    Code,
    Factor,
    Names,
    Percent,
    Slug,
    Strict,
    WholePoints,
    Wrong,
    given,
    refuse,
    repeated,
)

ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Weekday = Annotated[int, Field(strict=True, ge=1, le=7)]
Days = Annotated[int, Field(strict=True, ge=0, le=60)]
Codes = Annotated[tuple[Code, ...], *NOT_EMPTY, Field(max_length=10_000)]
Slugs = Annotated[tuple[Slug, ...], *NOT_EMPTY, Field(max_length=1_000)]
Kind = Literal["percent", "multiplier", "fixed", "fixed_per_item", "stamps", "discount"]
Stacking = Literal["add", "best", "exclusive"]


class Hours(Strict):
    """From `from` until just before `until`, local to the branch; over midnight if it is less."""

    from_: ClockTime = Field(alias="from")
    until: ClockTime

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.from_ == self.until:
            refuse("Hours", [Wrong(("until",), "empty", "must differ from the beginning")])
        return self


class Dates(Strict):
    """Local days of the branch, the last one included; an open side has no end."""

    from_: date | None = Field(default=None, alias="from")
    until: date | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ is None and self.until is None:
            refuse("Dates", [Wrong(("from",), "required", "needs a beginning, an end or both")])
        if self.from_ and self.until and self.until < self.from_:
            message = "must not be before the beginning"
            refuse("Dates", [Wrong(("until",), "not_ascending", message)])
        return self


class BirthdayDays(Strict):
    """So many days before the birthday and after it; the day itself always counts."""

    before: Days = 0
    after: Days = 0


_LISTS: Final = (
    "channels", "branches", "branch_groups", "organisations", "items", "item_groups", "tiers",
)  # fmt: skip


class When(Strict):
    """The conditions: all that are stated must hold; nothing stated holds always.

    Two pairs mean "either": `branches` or `branch_groups`, `items` or `item_groups`. The last
    pair chooses lines, everything else looks at the whole purchase. `min_sum` is of the bill
    before discounts, in minor units of money.
    """

    channels: Slugs | None = None
    branches: Codes | None = None
    branch_groups: Slugs | None = None
    organisations: Slugs | None = None
    items: Codes | None = None
    item_groups: Codes | None = None
    tiers: Slugs | None = None
    weekdays: Annotated[tuple[Weekday, ...], *NOT_EMPTY] | None = None
    hours: Hours | None = None
    dates: Dates | None = None
    first_purchase: bool | None = None
    min_sum: Amount | None = None
    birthday_days: BirthdayDays | None = None

    @model_validator(mode="after")
    def _no_doubles(self) -> Self:
        wrongs = [wrong for name in _LISTS for wrong in repeated(getattr(self, name) or (), name)]
        refuse("When", [*wrongs, *repeated(map(str, self.weekdays or ()), "weekdays")])
        return self

    @cached_property
    def chosen_items(self) -> frozenset[str]:
        """`items` for look-ups."""
        return frozenset(self.items or ())

    @cached_property
    def chosen_groups(self) -> frozenset[str]:
        """`item_groups` for look-ups."""
        return frozenset(self.item_groups or ())

    @cached_property
    def every_line(self) -> bool:
        """Whether it concerns all lines alike."""
        return self.items is None and self.item_groups is None

    @cached_property
    def always(self) -> bool:
        """Whether nothing is asked of the purchase as a whole."""
        return (
            self.anywhere
            and self.anytime
            and self.tiers is None
            and self.min_sum is None
            and self.channels is None
            and self.first_purchase is None
        )

    @cached_property
    def anywhere(self) -> bool:
        """Whether the place does not matter."""
        return self.organisations is None and self.branches is None and self.branch_groups is None

    @cached_property
    def anytime(self) -> bool:
        """Whether the clock and the calendar do not matter."""
        return (
            self.hours is None
            and self.weekdays is None
            and self.dates is None
            and self.birthday_days is None
        )


# The fields that each kind of effect needs; it takes no others.
_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "percent": ("percent",),
    "multiplier": ("factor",),
    "fixed": ("points",),
    "fixed_per_item": ("points",),
    "stamps": ("count", "per"),
    "discount": ("percent",),
}
_GIVES: Final = {"stamps": "stamps", "discount": "money"}


class Effect(Strict):
    """What a promotion gives.

    `percent`: so much more of the matching lines in points. `multiplier`: `factor` times the base
    earning of the matching lines in place of once. `fixed`: `points` once per bill.
    `fixed_per_item`: `points` for each matching unit. `stamps`: `count` per bill or per whole
    matching unit. `discount`: `percent` of the matching lines' price.
    """

    kind: Kind
    percent: Annotated[Percent, Field(gt=0)] | None = None
    factor: Factor | None = None
    points: WholePoints | None = None
    count: Annotated[int, Field(strict=True, ge=1, le=1_000)] | None = None
    per: Literal["bill", "unit"] | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        needs = _NEEDS[self.kind]
        wrongs = []
        for name in ("percent", "factor", "points", "count", "per"):
            there = getattr(self, name) is not None
            if name in needs and not there:
                wrongs.append(Wrong((name,), "required", f"is required for '{self.kind}'"))
            if there and name not in needs:
                wrongs.append(Wrong((name,), "not_allowed", f"has no meaning for '{self.kind}'"))
        refuse("Effect", wrongs)
        return self

    @cached_property
    def hundredths(self) -> int:
        """The percent or the factor in hundredths."""
        return hundredths(given(self.factor if self.percent is None else self.percent))

    @cached_property
    def told(self) -> dict[str, Any]:
        """Its percent or factor, for a reason's data."""
        numbers = {"percent": self.percent, "factor": self.factor}
        return {name: str(number) for name, number in numbers.items() if number is not None}


class Limit(Strict):
    """The most that a promotion gives per purchase, in what it gives: points, stamps or money."""

    points: WholePoints | None = None
    stamps: Annotated[int, Field(strict=True, ge=1, le=10_000)] | None = None
    money: Annotated[Amount, Field(ge=1)] | None = None


class Promotion(Strict):
    """Something on top of the base earning, for a reason that the customer is told by name.

    `stacking` is settled line by line. `exclusive`: no other promotion counts on a line that it
    hits; of several the one with the highest priority, then the first in the list. Otherwise
    every `add` counts, and of all `best` the one that gives the line most.
    """

    id: Slug
    name: Names
    priority: Annotated[int, Field(strict=True, ge=-1000, le=1000)] = 0
    stacking: Stacking = "add"
    when: When = When()
    effect: Effect
    limit: Limit | None = None

    @cached_property
    def about(self) -> dict[str, Any]:
        """Which promotion it is, for a reason's data."""
        return {"promotion": self.id, "name": self.name.by_language}

    @model_validator(mode="after")
    def _limits_what_it_gives(self) -> Self:
        if self.limit is not None:
            gives = _GIVES.get(self.effect.kind, "points")
            wrongs = [
                Wrong(("limit", name), "not_allowed", f"does not limit '{self.effect.kind}'")
                for name in ("points", "stamps", "money")
                if name != gives and getattr(self.limit, name) is not None
            ]
            if getattr(self.limit, gives) is None:
                wrongs.append(Wrong(("limit", gives), "required", "is required"))
            refuse("Promotion", wrongs)
        return self
