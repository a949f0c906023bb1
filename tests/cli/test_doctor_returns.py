"""What `walletsvc doctor` says of returns whose purchase does not come."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from tests.sales.shop import Café, open_café
from walletsvc.app import assemble
from walletsvc.cli.doctor import returns
from walletsvc.cli.doctor.command import examine
from walletsvc.cli.doctor.findings import Finding
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database

NONE = Finding("returns", "none waits for its purchase for longer than a day")
DAY = timedelta(days=1)
MOMENT = timedelta(seconds=1)


def found(café: Café, now: datetime) -> Finding:
    with café.database.read_tx() as session:
        return returns.waiting(session, now)


def test_a_return_that_waits_for_longer_than_a_day_is_named(
    database: Database, now: datetime
) -> None:
    """Something to know, nothing that makes the command fail; its purchase ends it."""
    café = open_café(database, now)
    assert found(café, now + 2 * DAY) == NONE
    café.refund_early("4711", name="4711-R", sum=100)
    assert found(café, now + DAY) == NONE
    told = found(café, now + DAY + MOMENT)
    assert not told.problem
    assert told.text.startswith(
        "warning: 1 return waits for a purchase for longer than a day, the oldest since "
        f"{now:%Y-%m-%d %H:%M} UTC: 4711-R from pos (cafe), of the purchase 4711 from pos."
    )
    café.now += timedelta(hours=1)
    café.refund_early("4712", name="4712-R", sum=100)
    told = found(café, now + 2 * DAY)
    assert "2 returns wait" in told.text
    assert "4711-R from pos" in told.text
    café.buy(None, 1_000, name="4711")
    assert "1 return waits" in (told := found(café, now + 2 * DAY)).text
    assert "4712-R from pos" in told.text
    café.buy(None, 1_000, name="4712")
    assert found(café, now + 2 * DAY) == NONE


def test_the_whole_report_has_it(database: Database, tmp_path: Path) -> None:
    """One line, also when there is nothing to tell."""
    assert NONE in list(examine(assemble(Settings(data_dir=tmp_path), database)))
