"""Progress in numbers and words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from walletsvc.jobs.bulk import BulkJob, BulkState
from walletsvc.jobs.bulk.rules import line, progress, span


def job(now: datetime, **values: Any) -> BulkJob:
    """A running job, half done after ten seconds, unless said otherwise."""
    given = {
        "kind": "test",
        "title": "test",
        "total": 1000,
        "done": 500,
        "actor": "system:test",
        "created_at": now,
        "updated_at": now,
        "counted_from": now - timedelta(seconds=10),
        **values,
    }
    return BulkJob(**given)


def test_rate_and_remaining_time_of_the_present_run(now: datetime) -> None:
    """What an earlier run did does not count for the rate."""
    found = progress(job(now, counted_done=300), now)
    assert (found.percent, found.rate, found.remaining) == (50, 20, 25)
    assert line(job(now, counted_done=300, result={"set_aside": 2}), now) == (
        "500 of 1,000 (50 %), 20 a second, 25 s left, 2 set aside: running"
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"counted_from": None}, "waiting for its turn"),
        ({"waiting_since": datetime(2026, 1, 1).astimezone()}, "waiting for pushes"),
        ({"failures": 2, "problem": "no luck"}, "try 3): no luck"),
        ({"state": BulkState.PAUSED}, "paused"),
        ({"state": BulkState.FAILED, "problem": "no luck"}, "failed: no luck"),
        ({"state": BulkState.DONE}, "done"),
    ],
)
def test_every_state_has_words(now: datetime, values: dict[str, Any], words: str) -> None:
    """What is going on, or why nothing is."""
    assert words in line(job(now, **values), now)


def test_nobody_guesses(now: datetime) -> None:
    """Without a rate no remaining time; a job that does not run has neither."""
    for values in (
        {"counted_from": None},
        {"counted_from": now},
        {"state": BulkState.PAUSED},
        {"state": BulkState.FAILED},
    ):
        found = progress(job(now, **values), now)
        assert (found.rate, found.remaining) == (None, None)
    stuck = progress(job(now, done=0), now)
    assert (stuck.rate, stuck.remaining) == (0, None)


def test_hundred_percent_means_done(now: datetime) -> None:
    """Also for a job without items; never before, and not for one that ended early."""
    assert progress(job(now, done=999, total=1000), now).percent == 99
    assert progress(job(now, done=0, total=0, state=BulkState.DONE), now).percent == 100
    assert progress(job(now, done=0, total=0), now).percent == 0
    early = job(now, state=BulkState.DONE, problem="Ended early.")
    assert progress(early, now).percent == 50


def test_more_than_was_expected_is_no_trouble(now: datetime) -> None:
    """Passes may come in while a job runs."""
    found = progress(job(now, done=1200), now)
    assert (found.total, found.percent, found.remaining) == (1200, 100, 0)


def test_times_read_well() -> None:
    """The two largest parts."""
    assert [span(s) for s in (0.4, 59, 61, 3599, 3661)] == [
        "0 s", "59 s", "1 min 1 s", "59 min 59 s", "1 h 1 min",
    ]  # fmt: skip
