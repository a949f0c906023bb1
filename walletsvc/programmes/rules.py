"""When things end in a programme's own time zone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from walletsvc.ledger import checks

LAST_YEAR: Final = 2200


def end_of_day(day: date, time_zone: str, now: datetime) -> datetime:
    """The moment after the day's last in the zone.

    Raises InputError naming `expires_on` for a day that is over, or after LAST_YEAR.
    """
    zone = ZoneInfo(time_zone)
    if day < now.astimezone(zone).date():
        raise checks.wrong("expires_on", "must not be in the past")
    if day.year > LAST_YEAR:
        raise checks.wrong("expires_on", f"must not be after {LAST_YEAR}")
    return datetime.combine(day + timedelta(days=1), time(), zone)
