"""A rule book: everything a programme promises, as data that is checked when it is saved.

It knows nothing of versions: the caller stores each saved book under a version and says with
every purchase which one computed it. Whether named branches, groups and organisations exist is
checked by whoever can look them up.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from walletsvc.programmes.rulebook import lasting
from walletsvc.programmes.rulebook.fields import (
    Amount,
    CapPercent,
    Code,
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
from walletsvc.programmes.rulebook.promotions import Promotion, Slugs
from walletsvc.programmes.rulebook.stamp_cards import StampCard

Count = Annotated[int, Field(strict=True, ge=1, le=3_660)]


class Tier(Strict):
    """A level that cumulative purchases reach; `threshold` in minor units of money."""

    code: Slug
    name: Names
    threshold: Amount


class TierBase(Strict):
    """Which purchases count towards tiers, for how long, and when somebody moves down.

    Moving up is at once. Down is on the first day of a month or a year in the programme's zone.
    """

    organisations: Slugs | None = None
    window_days: Count | None = None
    downgrade: Literal["never", "monthly", "yearly"] = "never"

    def counts(self, organisation: str) -> bool:
        """Whether purchases at this organisation count."""
        return self.organisations is None or organisation in self.organisations


class Earn(Strict):
    """The base earning in percent of what is paid: one for all, or one for each tier.

    A coefficient is the same thing: 0.05 times the sum is 5 percent.
    """

    percent: Percent | None = None
    percent_by_tier: dict[Slug, Percent] | None = None
    earn_on_points_paid: bool = False
    earn_on_certificates: bool = True

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.percent is None) == (self.percent_by_tier is None):
            message = "give either percent or percent_by_tier"
            refuse("Earn", [Wrong(("percent",), "required", message)])
        return self


class Exclusions(Strict):
    """Lines that take no part: they earn nothing, get no promotion and do not count towards tiers.

    The `spend_` lists name what cannot be paid with points; such lines earn all the same.
    """

    items: tuple[Code, ...] = ()
    item_groups: tuple[Code, ...] = ()
    spend_items: tuple[Code, ...] = ()
    spend_item_groups: tuple[Code, ...] = ()

    @cached_property
    def _sets(self) -> tuple[frozenset[str], ...]:
        lists = (self.items, self.item_groups, self.spend_items, self.spend_item_groups)
        return tuple(frozenset(codes) for codes in lists)

    @cached_property
    def unpayable_any(self) -> bool:
        """Whether there is anything that cannot be paid with points."""
        return bool(self.spend_items or self.spend_item_groups)

    @cached_property
    def excluded_any(self) -> bool:
        """Whether there is anything that takes no part."""
        return bool(self.items or self.item_groups)

    def excluded(self, item: str | None, group: str | None) -> bool:
        """Whether the line takes no part at all."""
        return item in self._sets[0] or group in self._sets[1]

    def unpayable(self, item: str | None, group: str | None) -> bool:
        """Whether the line cannot be paid with points."""
        return item in self._sets[2] or group in self._sets[3]


class Spend(Strict):
    """Paying with points: how much of what may be paid so, from how many points, in which steps.

    Points are whole points; without a `step` any amount that the unit can express.
    """

    max_share_percent: Percent = Decimal(0)
    min_points: Annotated[int, Field(strict=True, ge=0, le=10**9)] = 0
    step: WholePoints | None = None


class Rounding(Strict):
    """How the exact sum of earnings becomes whole minor units of points, per line or per bill."""

    points: Literal["down", "half_up", "up"] = "down"
    of: Literal["line", "bill"] = "bill"


class Lifetime(Strict):
    """How long points live, counted from the day they become available, to the end of a local day.

    `until_end_of_year_plus` 0 is the 31st of December of that year, 1 that of the next.
    """

    days: Count | None = None
    months: Annotated[int, Field(strict=True, ge=1, le=120)] | None = None
    until_end_of_year_plus: Annotated[int, Field(strict=True, ge=0, le=10)] | None = None

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        given = (self.days, self.months, self.until_end_of_year_plus)
        if sum(value is not None for value in given) != 1:
            message = "give exactly one of days, months and until_end_of_year_plus"
            refuse("Lifetime", [Wrong(("days",), "required", message)])
        return self


class Gift(Strict):
    """Points that are given without a purchase; their own lifetime or that of the book."""

    points: WholePoints
    lifetime: Lifetime | None = None


class BirthdayGift(Gift):
    """Points for the birthday, given so many days before it."""

    days_before: Annotated[int, Field(strict=True, ge=0, le=60)] = 0


class ManualGift(Gift):
    """Points that staff or another program gives by the name of the event."""

    name: Names


class Events(Strict):
    """What is given without a purchase."""

    registration: Gift | None = None
    birthday: BirthdayGift | None = None
    manual: dict[Slug, ManualGift] = Field(default_factory=dict)


class RuleBook(Strict):
    """All rules of one programme. `point_value` is what a whole point is worth, in minor units.

    `max_earn_percent` is the most a purchase earns in all, in percent of what of it earns; more
    than that is never given, whatever the promotions say.

    `stamp_card` is for programmes that count stamps: what is said of points there, `take_back`
    too, goes for stamps.

    `take_back` is what a return does about points that it would take back and that were spent
    since: take what is there, go into debt as far as the account may, or refuse the return.
    """

    point_value: Annotated[int, Field(strict=True, ge=1, le=10**9)] = 100
    tiers: Annotated[tuple[Tier, ...], Field(max_length=50)] = ()
    tier_base: TierBase = TierBase()
    earn: Earn
    promotions: Annotated[tuple[Promotion, ...], Field(max_length=500)] = ()
    stamp_card: StampCard | None = None
    exclusions: Exclusions = Exclusions()
    spend: Spend = Spend()
    max_earn_percent: CapPercent = Decimal(100)
    rounding: Rounding = Rounding()
    available_after_days: Annotated[int, Field(strict=True, ge=0, le=366)] = 0
    lifetime: Lifetime | None = None
    events: Events = Events()
    take_back: Literal["within_balance", "into_debt", "refuse"] = "within_balance"

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        wrongs = [*self._wrong_tiers(), *self._wrong_references()]
        if self.stamp_card is not None and self.spend != Spend():
            message = "has no meaning beside a stamp card: stamps are used as full cards"
            wrongs.append(Wrong(("spend",), "not_allowed", message))
        refuse("RuleBook", wrongs)
        return self

    def _wrong_tiers(self) -> Iterator[Wrong]:
        yield from repeated((tier.code for tier in self.tiers), "tiers", key="code")
        before = -1
        for index, tier in enumerate(self.tiers):
            where = ("tiers", index, "threshold")
            if index == 0 and tier.threshold != 0:
                yield Wrong(where, "not_zero", "must be 0: everybody has at least the first tier")
            elif tier.threshold <= before:
                yield Wrong(where, "not_ascending", "must be more than that of the tier before")
            before = tier.threshold

    def _wrong_references(self) -> Iterator[Wrong]:
        known = {tier.code for tier in self.tiers}
        by_tier = self.earn.percent_by_tier
        if by_tier is not None:
            place = ("earn", "percent_by_tier")
            for code in by_tier:
                if code not in known:
                    yield Wrong((*place, code), "unknown_tier", f"there is no tier '{code}'")
            for code in sorted(known - by_tier.keys()):
                yield Wrong((*place, code), "required", "every tier needs its percent")
            if not known:
                yield Wrong(place, "not_allowed", "there are no tiers: give one percent")
        yield from repeated((each.id for each in self.promotions), "promotions", key="id")
        for number, promotion in enumerate(self.promotions):
            for index, code in enumerate(promotion.when.tiers or ()):
                if code not in known:
                    where = ("promotions", number, "when", "tiers", index)
                    yield Wrong(where, "unknown_tier", f"there is no tier '{code}'")

    @cached_property
    def ordered(self) -> tuple[Promotion, ...]:
        """The promotions by priority, then as they stand in the list."""
        return tuple(sorted(self.promotions, key=lambda promotion: -promotion.priority))

    @cached_property
    def ranks(self) -> dict[str | None, int]:
        """The place of each tier by its code."""
        return {tier.code: place for place, tier in enumerate(self.tiers)}

    @cached_property
    def discounts(self) -> dict[str | None, Decimal]:
        """The percent that is always taken off, by tier; by None when the book has no tiers."""
        codes: list[str | None] = [tier.code for tier in self.tiers] or [None]
        return {code: lasting.discount(self.ordered, code) for code in codes}

    @property
    def spend_step(self) -> int:
        """In what steps points (or stamps, as full cards) are spent, in whole ones."""
        return self.stamp_card.stamps if self.stamp_card else self.spend.step or 1

    def percent_for(self, tier: str | None) -> Percent:
        """The base percent of a tier; None when the book has no tiers."""
        if self.earn.percent is not None:
            return self.earn.percent
        return given(self.earn.percent_by_tier)[given(tier)]
