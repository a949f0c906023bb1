"""The ledger's jobs in the real queue, and what the last verification shows."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial

import procrastinate
import pytest
import structlog
from sqlalchemy import text

from tests.ledger.coalition import open_coalition
from tests.ledger.shop import Shop
from walletsvc.app import LEDGER_CHECKS
from walletsvc.core.actor import SYSTEM
from walletsvc.ledger import metrics, tasks, verification
from walletsvc.ledger.models import Verification
from walletsvc.storage.engine import Database


@pytest.fixture(scope="module")
def app(migrated_database: str) -> procrastinate.App:
    """A queue with the ledger's jobs alone."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=migrated_database))
    app.add_tasks_from(tasks.create(LEDGER_CHECKS), namespace="ledger")
    return app


def run(app: procrastinate.App, database: Database, now: datetime, task: str) -> None:
    """A scheduled job, at its moment."""

    async def work() -> None:
        async with app.open_async():
            await app.configure_task(task).defer_async(timestamp=0)
            await app.run_worker_async(
                wait=False,
                install_signal_handlers=False,
                additional_context={"database": database, "clock": lambda: now},
            )

    asyncio.run(work())


def test_everything_due_is_settled_every_hour(app: procrastinate.App, shop: Shop) -> None:
    """Points mature and end."""
    account = shop.account()
    shop.credit(account, 10, available_from=shop.days(1))
    shop.credit(account, 20, expires_at=shop.days(1))
    run(app, shop.database, shop.days(1), "ledger:settle")
    assert (shop.balance(account), shop.remaining(account)) == (10, [10, 0])


def test_what_is_owed_is_counted_by_the_clock(app: procrastinate.App, shop: Shop) -> None:
    """What one run sees the next counts."""
    coalition = open_coalition(shop)
    coalition.give("hotel", 10)
    coalition.redeem("hotel", 4, at="spa")
    for _ in range(2):
        run(app, shop.database, shop.now, "ledger:count_clearing")
    days = "SELECT day, amount FROM clearing_days ORDER BY amount"
    assert shop.all(days) == [(shop.now.date(), -4), (shop.now.date(), 4)]


def test_holds_end_every_minute(app: procrastinate.App, shop: Shop) -> None:
    """Somebody waits for what was held."""
    account = shop.account()
    shop.credit(account, 10)
    shop.hold(account, 4, expires_at=shop.days(1))
    run(app, shop.database, shop.days(1), "ledger:release_holds")
    assert shop.all("SELECT state FROM holds") == [("expired",)]
    assert shop.all("SELECT held FROM accounts WHERE id = :a", a=account) == [(0,)]


def test_jobs_run_at_their_time(app: procrastinate.App) -> None:
    """Hourly a few minutes past, every minute, four times a day, and at night."""
    found = {each.task.name: each.cron for each in app.periodic_registry.periodic_tasks.values()}
    assert {name: cron for name, cron in found.items() if name.startswith("ledger:")} == {
        "ledger:settle": "3 * * * *",
        "ledger:release_holds": "* * * * *",
        "ledger:count_clearing": "51 */6 * * *",
        "ledger:verify_nightly": "11 4 * * *",
    }


def damage(shop: Shop, account: int, more: int) -> None:
    """Somebody changed a balance by hand."""
    with shop.database.engine.begin() as connection:
        connection.execute(
            text("UPDATE accounts SET balance = balance + :n WHERE id = :a"),
            {"a": account, "n": more},
        )


def test_the_ledger_is_verified_every_night(app: procrastinate.App, shop: Shop) -> None:
    """The result is kept for 90 days, differences are an error in the log."""
    account = shop.account()
    shop.credit(account, 10)
    for days in (91, 89):
        with shop.database.write_tx() as session:
            verification.ask(session, actor=SYSTEM, now=shop.days(-days))
    run(app, shop.database, shop.now, "ledger:verify_nightly")
    damage(shop, account, 1)
    with structlog.testing.capture_logs() as lines:
        run(app, shop.database, shop.days(1), "ledger:verify_nightly")
    with shop.database.read_tx() as session:
        found = verification.newest(session, limit=9)
    assert [(each.asked_at, each.found, each.entries) for each in found] == [
        (shop.days(1), 2, 2),
        (shop.now, 0, 2),
        (shop.days(-89), 0, 0),
    ]
    assert len(found[0].differences) == 2
    assert found[0].differences[0][0] == shop.organisation_id
    said = [line for line in lines if line["event"] == "the ledger was verified"]
    assert [(line["log_level"], line["differences"]) for line in said] == [("error", 2)]


def test_a_verification_that_is_done_is_left_alone(shop: Shop) -> None:
    """A job that is tried again after its worker died changes nothing."""
    with shop.database.write_tx() as session:
        asked = verification.ask(session, actor=SYSTEM, now=shop.now)
    for days in (1, 2):
        verification.run(shop.database, asked.public_id, partial(shop.days, days), LEDGER_CHECKS)
    assert shop.all("SELECT finished_at FROM ledger_verifications") == [(shop.days(1),)]


def test_of_very_many_differences_the_first_are_kept(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are counted."""
    monkeypatch.setattr(verification, "MOST", 2)
    for _ in range(4):
        damage(shop, shop.account(), 1)
    with shop.database.write_tx() as session:
        asked = verification.ask(session, actor=SYSTEM, now=shop.now)
    done = verification.run(shop.database, asked.public_id, lambda: shop.now, LEDGER_CHECKS)
    assert (done.found, len(done.differences)) == (8, 2)


def samples(shop: Shop, now: datetime) -> dict[str, list[float]]:
    """The metrics by name."""
    with shop.database.read_tx() as session:
        return {
            family.name: [each.value for each in family.samples]
            for family in metrics.families(session, now)
        }


def words(shop: Shop, now: datetime) -> list[str]:
    """What /readyz would warn of."""
    with shop.database.read_tx() as session:
        return verification.warnings(session, now)


def test_age_and_differences_are_shown(shop: Shop) -> None:
    """While nothing is older than two nights silence is no news; then it is a warning too."""
    assert samples(shop, shop.now) == {
        "walletsvc_ledger_verified_seconds": [],
        "walletsvc_ledger_differences": [],
    }
    assert words(shop, shop.days(99)) == []  # nothing to verify
    shop.credit(shop.account(), 10)
    assert words(shop, shop.days(2)) == []
    assert words(shop, shop.days(2.1)) == [
        "The ledger was not verified for 50 hours: is a worker at its jobs?"
    ]
    finished = shop.days(3)
    with shop.database.write_tx() as session:
        for found, at in ((9, finished - timedelta(days=1)), (2, finished)):
            session.add(Verification(actor="", asked_at=at, finished_at=at, found=found))
        session.add(Verification(actor="", asked_at=finished))  # still at it
    assert samples(shop, finished + timedelta(minutes=1)) == {
        "walletsvc_ledger_verified_seconds": [60],
        "walletsvc_ledger_differences": [2],
    }
    assert words(shop, finished) == ["The ledger has 2 differences: walletsvc ledger verify"]
