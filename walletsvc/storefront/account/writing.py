"""Amounts and moments as the page writes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime

from walletsvc.passes.formats import written
from walletsvc.passes.placeholders import Kind
from walletsvc.programmes.models import ProgrammeKind
from walletsvc.programmes.rulebook import numerals
from walletsvc.storefront.account.visiting import Visitor

# A day and its month stay on one line.
_DAY: Final = "d\xa0MMMM\xa0y"
_MOMENT: Final = "d\xa0MMMM\xa0y, HH:mm"
_MINUS: Final = "−"


@dataclass(frozen=True)
class Writing:
    """In one language, in the zone of a programme, in what it counts."""

    language: str
    zone: str
    scale: int
    currency: str
    is_money: bool

    def amount(self, minor: int) -> str:
        """What the programme counts: points, stamps or money."""
        if self.is_money:
            return money(minor, self.currency, self.language)
        return points(minor, self.scale, self.language)

    def day(self, moment: datetime) -> str:
        """The day of a moment."""
        return day(moment, self.zone, self.language)

    def last_day(self, end: datetime) -> str:
        """The last day before an end, which is stored as the midnight after it."""
        return self.day(end - timedelta(seconds=1))


def of(found: Visitor, language: str) -> Writing:
    """As the card's programme is written."""
    return Writing(
        language=language,
        zone=found.programme.time_zone,
        scale=found.unit.scale,
        currency=found.programme.currency,
        is_money=found.programme.kind is ProgrammeKind.GIFT,
    )


def points(minor: int, scale: int, language: str) -> str:
    """A number of points; below zero with a proper minus."""
    number = numerals.decimal(Decimal(abs(minor)).scaleb(-scale), language)
    return f"{_MINUS}{number}" if minor < 0 else number


def money(minor: int, currency: str, language: str) -> str:
    """A sum of money, without a fraction when there is none."""
    return written(Kind.MONEY, {"amount": minor, "currency": currency}, language)


def day(moment: datetime, zone: str, language: str) -> str:
    """The day of a moment, in words."""
    return str(format_date(moment.astimezone(ZoneInfo(zone)), _DAY, locale=language))


def minute(moment: datetime, zone: str, language: str) -> str:
    """Day and time of a moment."""
    return str(format_datetime(moment.astimezone(ZoneInfo(zone)), _MOMENT, locale=language))
