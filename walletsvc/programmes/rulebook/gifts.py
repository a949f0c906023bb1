"""Points without a purchase: for registering, for a birthday, for a named event."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from walletsvc.core.errors import NotFound
from walletsvc.programmes.rulebook import dates
from walletsvc.programmes.rulebook.fields import Strict
from walletsvc.programmes.rulebook.reasons import Code, Reason, Unit
from walletsvc.programmes.rulebook.schemas import Gift, RuleBook
from walletsvc.programmes.rulebook.stacking import birthday_in


class Given(Strict):
    """What an event brings, in minor units of points; available at once, and until when."""

    points: int
    available_from: datetime
    expires_at: datetime | None
    explanation: tuple[Reason, ...]


def registration(book: RuleBook, at: datetime, zone: ZoneInfo, scale: int = 0) -> Given | None:
    """What a new member gets; None when the book gives nothing."""
    gift = book.events.registration
    return None if gift is None else _given(book, gift, at, zone, scale, Code.REGISTRATION, {})


def birthday(book: RuleBook, at: datetime, zone: ZoneInfo, scale: int = 0) -> Given | None:
    """What a birthday brings, to be given on its `birthday_gift_day`; None when it is nothing."""
    gift = book.events.birthday
    return None if gift is None else _given(book, gift, at, zone, scale, Code.BIRTHDAY, {})


def birthday_gift_day(book: RuleBook, born: date, since: date) -> date | None:
    """The first local day from `since` on, on which this birthday's points are due."""
    gift = book.events.birthday
    if gift is None:
        return None
    early = timedelta(days=gift.days_before)
    days = (birthday_in(since.year + later, born) - early for later in range(3))
    return next(day for day in days if day >= since)


def manual(book: RuleBook, event: str, at: datetime, zone: ZoneInfo, scale: int = 0) -> Given:
    """What a named event brings; raises NotFound when the book has no such event."""
    gift = book.events.manual.get(event)
    if gift is None:
        raise NotFound(f"The rules have no event '{event}'.")
    data = {"event": event, "name": gift.name.by_language}
    return _given(book, gift, at, zone, scale, Code.EVENT, data)


def _given(
    book: RuleBook,
    gift: Gift,
    at: datetime,
    zone: ZoneInfo,
    scale: int,
    code: Code,
    data: dict[str, Any],
) -> Given:
    points = gift.points * 10**scale
    ends = dates.expires_at(at, gift.lifetime or book.lifetime, zone)
    why = [Reason(code=code, unit=Unit.POINTS, amount=Fraction(points), data=data)]
    if ends is not None:
        last = ends.astimezone(zone).date() - timedelta(days=1)
        why.append(Reason(code=Code.EXPIRES, data={"date": last.isoformat()}))
    return Given(
        points=points,
        available_from=dates.available_from(at, 0, zone),
        expires_at=ends,
        explanation=tuple(why),
    )
