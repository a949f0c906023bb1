"""Tries counted in the database, several subjects in one statement."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from walletsvc.core.errors import TooManyTries
from walletsvc.storage import limits
from walletsvc.storage.engine import Database
from walletsvc.storage.limits import Limit, LimitCounter

_HOUR = Limit("a-hour", 2, timedelta(hours=1))
_DAY = Limit("b-day", 3, timedelta(days=1))


def _counted(database: Database) -> dict[tuple[str, str], int]:
    with database.read_tx() as session:
        return {(row.name, row.subject): row.tries for row in session.exec(select(LimitCounter))}


def test_each_subject_counts_under_each_of_its_limits(database: Database, now: datetime) -> None:
    """And when one of them has had its share nothing counts, whichever of them it is."""
    limits.take(database, [(_DAY, "x"), (_HOUR, "x")], now)
    limits.take(database, [(_HOUR, "x"), (_HOUR, "y")], now)
    assert _counted(database) == {("a-hour", "x"): 2, ("a-hour", "y"): 1, ("b-day", "x"): 1}
    before = _counted(database)
    with pytest.raises(TooManyTries) as caught:
        limits.take(database, [(_DAY, "x"), (_HOUR, "x"), (_HOUR, "z")], now)
    assert caught.value.data["retry_after"] == 1_800  # half past the hour
    assert _counted(database) == before
    limits.take(database, [(_DAY, "x"), (_HOUR, "x")], now + timedelta(hours=1))
    with pytest.raises(TooManyTries) as caught:
        limits.take(database, [(_DAY, "y"), (_DAY, "x"), (_HOUR, "x")], now + timedelta(hours=1))
        limits.take(database, [(_DAY, "y"), (_DAY, "x")], now + timedelta(hours=1))
    assert caught.value.data["retry_after"] > 3_600
    limits.take(database, [], now)


def test_what_went_well_is_given_back(database: Database, now: datetime) -> None:
    """To each of them."""
    for _ in range(4):
        limits.take(database, [(_HOUR, "x"), (_DAY, "x")], now)
        limits.give_back(database, [(_HOUR, "x"), (_DAY, "x")], now)
    assert set(_counted(database).values()) == {0}
