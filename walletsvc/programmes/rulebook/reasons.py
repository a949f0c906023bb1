"""Why a result is what it is: one reason for each thing that changed it, in words of two languages.

A reason is data; it is stored with the purchase and put into words whenever somebody asks. The
amounts of the reasons of one unit sum exactly to the total: earned points (fractions show what
rounding did), discount, stamps.
"""

from __future__ import annotations

import enum
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from babel.dates import format_date
from pydantic import Field

from walletsvc.programmes.rulebook import numerals
from walletsvc.programmes.rulebook.fields import Strict, made

LANGUAGES: Final = ("ru", "en")
_NOTHING: Final = Fraction(0)
_SHOWN_ITEMS: Final = 3


class Unit(enum.StrEnum):
    """What an amount counts: minor units of points or of money (let off), or stamps."""

    POINTS = "points"
    MONEY = "money"
    STAMPS = "stamps"


class Code(enum.StrEnum):
    """What happened; stable, for other software reads it."""

    NO_RULES = "no_rules"
    NOT_VERIFIED = "not_verified"
    LATE = "late"
    PRESENCE_REQUIRED = "presence_required"
    CODE_USED = "code_used"
    CODE_OLD = "code_old"
    CODE_EXPIRED = "code_expired"
    CODE_AHEAD = "code_ahead"
    CODE_WRONG = "code_wrong"
    DISCOUNT = "discount"
    REWARD = "reward"
    EXCLUDED = "excluded"
    GAVE_WAY_TO_EXCLUSIVE = "gave_way_to_exclusive"
    GAVE_WAY_TO_BETTER = "gave_way_to_better"
    SPEND = "spend"
    SPEND_EXCLUDED = "spend_excluded"
    POINTS_DO_NOT_EARN = "points_do_not_earn"
    CERTIFICATES_DO_NOT_EARN = "certificates_do_not_earn"
    BASE = "base"
    BASE_OF_TIER = "base_of_tier"
    PERCENT = "percent"
    MULTIPLIER = "multiplier"
    FIXED = "fixed"
    FIXED_PER_ITEM = "fixed_per_item"
    STAMPS = "stamps"
    LIMIT = "limit"
    ROUNDING_DOWN = "rounding_down"
    ROUNDING_HALF_UP = "rounding_half_up"
    ROUNDING_UP = "rounding_up"
    CAP = "cap"
    TIER_UP = "tier_up"
    AVAILABLE = "available"
    EXPIRES = "expires"
    RETURNED_EXPIRED = "returned_expired"
    RETURNED_TO_EXPIRED_CERTIFICATE = "returned_to_expired_certificate"
    PURCHASE_AWAITED = "purchase_awaited"
    REGISTRATION = "registration"
    BIRTHDAY = "birthday"
    EVENT = "event"


class Reason(Strict):
    """One thing that changed the result, or that the customer wants to know about it.

    `amount` counts `unit`, exactly, and is 0 for what only explains. `data` holds what the words
    need: money and points in minor units, percents as text, names by language, dates as ISO text.
    """

    code: Code
    unit: Unit | None = None
    amount: Fraction = _NOTHING
    data: dict[str, Any] = Field(default_factory=dict)


def because(
    code: Code, data: dict[str, Any], unit: Unit | None = None, amount: Fraction = _NOTHING
) -> Reason:
    """A reason that the rules themselves give; nothing is validated."""
    return made(Reason, {"code": code, "unit": unit, "amount": amount, "data": data})


class _Texts(NamedTuple):
    reasons: Mapping[str, str]
    plurals: Mapping[str, Mapping[str, str]]
    words: Mapping[str, str]


@cache
def _texts(language: str) -> _Texts:
    with (Path(__file__).parent / "wording" / f"{language}.toml").open("rb") as file:
        return _Texts(**tomllib.load(file))


def words(reason: Reason, language: str, *, currency: str = "RUB", scale: int = 0) -> str:
    """The reason as a sentence in `ru` or `en`; `scale` is that of the programme's points."""
    return _speech(language, currency, scale).say(reason)


@lru_cache(maxsize=256)
def _speech(language: str, currency: str, scale: int) -> _Speech:
    return _Speech(language, currency, scale)


class _Speech:
    """How one language says money, points, percents and lists."""

    def __init__(self, language: str, currency: str, scale: int) -> None:
        self._language = language
        self._texts = _texts(language)
        self._currency = currency
        self._points = 10**scale
        self._ways: dict[str, Callable[[Any], str]] = {
            "name": self._name, "by": self._name, "tier": self._name,
            "sum": self._money, "most": self._whole_points, "points": self._whole_points,
            "percent": self._percent, "factor": self._number, "items": self._items,
            "date": self._date, "stamps": self._stamps,
        }  # fmt: skip

    def say(self, reason: Reason) -> str:
        """The whole sentence."""
        values = {"items": ""}
        for key, value in reason.data.items():
            if key in self._ways:
                values[key] = self._ways[key](value)
        if reason.unit is not None:
            sign = -1 if reason.unit is Unit.MONEY else 1  # a discount is told as what it takes off
            values["amount"] = self._signed(reason.unit, reason.amount * sign)
            values["less"] = self._amount(reason.unit, abs(reason.amount))
            if "limit" in reason.data:
                values["limit"] = self._amount(reason.unit, Fraction(reason.data["limit"]))
        return self._texts.reasons[reason.code].format(**values)

    def _name(self, names: Mapping[str, str]) -> str:
        return names[self._language]

    def _signed(self, unit: Unit, amount: Fraction) -> str:
        return ("−" if amount < 0 else "+") + self._amount(unit, abs(amount))

    def _amount(self, unit: Unit, amount: Fraction) -> str:
        if unit is Unit.MONEY:
            return self._money(amount)
        parts = self._points if unit is Unit.POINTS else 1
        return self._counted(unit, amount.numerator, amount.denominator * parts)

    def _counted(self, what: str, numerator: int, denominator: int = 1) -> str:
        number, form = numerals.counted(numerator, denominator, self._language)
        said = self._texts.plurals[what]
        return said.get(form, said["other"]).format(n=number)

    def _number(self, number: str) -> str:
        return _decimal(number, self._language)

    def _percent(self, percent: str) -> str:
        return self._texts.words["percent"].format(n=self._number(percent))

    def _money(self, minor: int | Fraction) -> str:
        return numerals.money(int(minor), self._currency, self._language)

    def _whole_points(self, minor: int) -> str:
        return self._counted(Unit.POINTS, minor, self._points)

    def _stamps(self, number: int) -> str:
        return self._counted(Unit.STAMPS, number)

    def _items(self, labels: Sequence[str | None]) -> str:
        named = [label or self._texts.words["nameless"] for label in labels[:_SHOWN_ITEMS]]
        said, more = ", ".join(named), len(labels) - len(named)
        if more:
            count = self._counted("items", more)
            said = self._texts.words["and_more"].format(items=said, more=count)
        return f" ({said})"

    def _date(self, day: str) -> str:
        return _long_date(day, self._language)


@lru_cache(maxsize=1024)
def _decimal(number: str, language: str) -> str:
    """A percent or a factor of the rules: there are few of them."""
    return numerals.decimal(Decimal(number), language)


@lru_cache(maxsize=1024)
def _long_date(day: str, language: str) -> str:
    """The day in full; for Babel reads its patterns anew each time, and sales share their days."""
    return format_date(date.fromisoformat(day), "long", locale=language)
