"""Points without a purchase, and the days on which points begin and end."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.programmes.rulebook.strategies import ZONE
from walletsvc.core.errors import NotFound
from walletsvc.programmes.rulebook import dates, gifts
from walletsvc.programmes.rulebook.reasons import words
from walletsvc.programmes.rulebook.schemas import Lifetime, RuleBook

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
BOOK = RuleBook.model_validate(
    {
        "earn": {"percent": "5"},
        "lifetime": {"months": 6},
        "events": {
            "registration": {"points": 200},
            "birthday": {"points": 500, "days_before": 7, "lifetime": {"days": 14}},
            "manual": {"review": {"points": 1, "name": {"ru": "Отзыв", "en": "Review"}}},
        },
    }
)
NOTHING = RuleBook.model_validate({"earn": {"percent": "5"}})


def test_registration_brings_points_with_the_lifetime_of_the_book() -> None:
    """In the unit's own scale, and explained."""
    given = gifts.registration(BOOK, AT, ZONE, scale=2)
    assert given is not None
    assert (given.points, given.available_from) == (20_000, AT)
    assert given.expires_at == datetime(2027, 5, 24, 21, tzinfo=UTC)
    said = [words(reason, "ru", scale=2).replace("\u202f", " ") for reason in given.explanation]
    assert said == ["За регистрацию: +200 баллов", "Баллы действуют по 24 мая 2027 г. включительно"]


def test_a_birthday_has_a_lifetime_of_its_own() -> None:
    """Two weeks, and then they are gone."""
    given = gifts.birthday(BOOK, AT, ZONE)
    assert given is not None
    assert given.expires_at == datetime(2026, 12, 8, 21, tzinfo=UTC)


def test_named_events_and_what_the_book_does_not_give() -> None:
    """An event that the rules do not know is an error, not a gift of nothing."""
    given = gifts.manual(BOOK, "review", AT, ZONE)
    assert words(given.explanation[0], "ru") == "«Отзыв»: +1 балл"
    assert words(given.explanation[0], "en") == "“Review”: +1 point"
    with pytest.raises(NotFound):
        gifts.manual(BOOK, "selfie", AT, ZONE)
    assert gifts.registration(NOTHING, AT, ZONE) is None
    assert gifts.birthday(NOTHING, AT, ZONE) is None
    assert gifts.birthday_gift_day(NOTHING, date(1990, 1, 3), date(2026, 1, 1)) is None


@pytest.mark.parametrize(
    ("born", "since", "day"),
    [
        (date(1990, 6, 15), date(2026, 1, 1), date(2026, 6, 8)),
        (date(1990, 6, 15), date(2026, 6, 8), date(2026, 6, 8)),
        (date(1990, 6, 15), date(2026, 6, 9), date(2027, 6, 8)),
        (date(1990, 1, 3), date(2026, 12, 20), date(2026, 12, 27)),
        (date(1992, 2, 29), date(2027, 1, 1), date(2027, 2, 21)),
    ],
)
def test_a_birthday_is_given_for_once_a_year(born: date, since: date, day: date) -> None:
    """So many days before it, over New Year too."""
    assert gifts.birthday_gift_day(BOOK, born, since) == day


@pytest.mark.parametrize(
    ("lifetime", "first", "last"),
    [
        ({"days": 1}, date(2026, 12, 31), date(2027, 1, 1)),
        ({"months": 1}, date(2028, 1, 31), date(2028, 2, 29)),
        ({"months": 13}, date(2026, 12, 15), date(2028, 1, 15)),
        ({"until_end_of_year_plus": 0}, date(2026, 12, 31), date(2026, 12, 31)),
        ({"until_end_of_year_plus": 2}, date(2026, 1, 1), date(2028, 12, 31)),
    ],
)
def test_the_last_day(lifetime: dict[str, int], first: date, last: date) -> None:
    """Counted from the day on which the points become available."""
    assert dates.last_day(first, Lifetime.model_validate(lifetime)) == last


def test_a_day_begins_at_midnight_of_the_zone_whatever_the_clocks_do() -> None:
    """Berlin, before and after the clocks go back."""
    berlin = ZoneInfo("Europe/Berlin")
    assert dates.day_begins(date(2026, 10, 25), berlin) == datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert dates.day_begins(date(2026, 10, 26), berlin) == datetime(2026, 10, 25, 23, tzinfo=UTC)
