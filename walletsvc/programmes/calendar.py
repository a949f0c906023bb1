"""The days of a programme, which are those of its time zone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from walletsvc.core.errors import FieldError, InputError
from walletsvc.programmes.models import Programme

LAST_YEAR: Final = 2200


def end_of_day(
    programme: Programme, day: date, now: datetime, *, field: str = "expires_on"
) -> datetime:
    """The moment after the last of that day in the programme's zone, as an end is stored.

    Raises InputError naming the field for a day that is over, or absurdly far away.
    """
    zone = ZoneInfo(programme.time_zone)
    if day < now.astimezone(zone).date():
        raise _wrong(field, "must not be in the past")
    if day.year > LAST_YEAR:
        raise _wrong(field, f"must not be after {LAST_YEAR}")
    return datetime.combine(day + timedelta(days=1), time(), zone)


def _wrong(field: str, message: str) -> InputError:
    return InputError(f"`{field}` {message}.", (FieldError(field, message),))
