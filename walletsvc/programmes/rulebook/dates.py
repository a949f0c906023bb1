"""When points become available and when they end: days of the programme's zone."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from walletsvc.programmes.rulebook.fields import given
from walletsvc.programmes.rulebook.schemas import Lifetime


def available_from(at: datetime, after_days: int, zone: ZoneInfo) -> datetime:
    """At once, or from the beginning of the day so many days later."""
    if after_days == 0:
        return at.astimezone(UTC)
    return day_begins(at.astimezone(zone).date() + timedelta(days=after_days), zone)


def expires_at(available: datetime, lifetime: Lifetime | None, zone: ZoneInfo) -> datetime | None:
    """The end of the last day, which is the beginning of the next; None: they never end."""
    if lifetime is None:
        return None
    return day_begins(last_day(available.astimezone(zone).date(), lifetime) + timedelta(1), zone)


def last_day(first: date, lifetime: Lifetime) -> date:
    """The last day of points that become available on `first`."""
    if lifetime.days is not None:
        return first + timedelta(days=lifetime.days)
    if lifetime.months is not None:
        return _months_later(first, lifetime.months)
    return date(first.year + given(lifetime.until_end_of_year_plus), 12, 31)


@lru_cache(maxsize=4096)
def day_begins(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a local day, in UTC."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def _months_later(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day when it is too short."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
