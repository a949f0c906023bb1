"""Scheduled jobs run in the real queue."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import procrastinate
import pytest
import structlog
from procrastinate import Blueprint
from procrastinate.periodic import PeriodicDeferrer
from sqlalchemy import text

from walletsvc.app import job_blueprints
from walletsvc.apple import devcerts, logbook, tasks
from walletsvc.jobs import queue
from walletsvc.ledger import verification
from walletsvc.passes import events
from walletsvc.passes.models import EventKind
from walletsvc.settings import load
from walletsvc.storage import idempotency, limits
from walletsvc.storage.engine import Database


@pytest.fixture(scope="module")
def app(migrated_database: str) -> procrastinate.App:
    """The queue with one feature's jobs."""
    return queue.build(migrated_database, {"apple": tasks.create(timedelta(days=30))})


TABLES = ("idempotency_keys", "device_logs", "pass_events")


def _counts(database: Database) -> list[int]:
    with database.read_tx() as session:
        return [
            session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in TABLES
        ]


def test_old_rows_are_forgotten_and_new_ones_kept(
    app: procrastinate.App, database: Database, now: datetime
) -> None:
    """Idempotency keys live 90 days, timelines and device logs 30."""
    with database.write_tx() as session:
        for days in (89, 91):
            moment = now - timedelta(days=days)
            idempotency.begin(session, "scope", f"key-{days}", b"print", moment)
        for days in (29, 31):
            moment = now - timedelta(days=days)
            logbook.store(session, ["a line"], now=moment)
            events.record(session, [events.Event(moment, EventKind.FETCHED, 1, 1)])
    assert _counts(database) == [2, 2, 2]

    async def run_jobs() -> None:
        async with app.open_async():
            for task in ("jobs:forget_idempotency_keys", "apple:forget_timeline"):
                await app.configure_task(task).defer_async(timestamp=0)
            await app.run_worker_async(
                wait=False,
                install_signal_handlers=False,
                additional_context={"database": database, "clock": lambda: now},
            )

    asyncio.run(run_jobs())
    assert _counts(database) == [1, 1, 1]


def test_counts_of_tries_are_forgotten_after_their_windows(
    app: procrastinate.App, database: Database, now: datetime
) -> None:
    """The longest window is a week."""
    limit = limits.Limit("test", 5, timedelta(days=1))
    for days in (9, 7):
        limits.take(database, [(limit, f"subject-{days}")], now - timedelta(days=days))

    async def run_job() -> None:
        async with app.open_async():
            await app.configure_task("jobs:forget_limits").defer_async(timestamp=0)
            await app.run_worker_async(
                wait=False,
                install_signal_handlers=False,
                additional_context={"database": database, "clock": lambda: now},
            )

    asyncio.run(run_job())
    with database.read_tx() as session:
        kept = session.execute(text("SELECT subject FROM limit_counters")).scalars()
        assert list(kept) == ["subject-7"]


def test_jobs_that_failed_are_kept_for_a_week(app: procrastinate.App, database: Database) -> None:
    """Long enough to be looked at; for ever, and nobody would see the next one."""
    with database.write_tx() as session:
        for task, days in (("new", 6), ("old", 8)):
            session.execute(
                text(
                    "WITH job AS (INSERT INTO procrastinate_jobs (queue_name, task_name, status)"
                    " VALUES ('default', :task, 'failed') RETURNING id)"
                    " INSERT INTO procrastinate_events (job_id, type, at)"
                    " SELECT id, 'failed', now() - make_interval(days => :days) FROM job"
                ),
                {"task": task, "days": days},
            )
        session.execute(text("DELETE FROM procrastinate_events WHERE type <> 'failed'"))

    async def run_job() -> None:
        async with app.open_async():
            await app.configure_task("jobs:forget_failed_jobs").defer_async(timestamp=0)
            await app.run_worker_async(wait=False, install_signal_handlers=False)

    asyncio.run(run_job())
    failed = text("SELECT task_name FROM procrastinate_jobs WHERE status = 'failed'")
    with database.read_tx() as session:
        assert list(session.execute(failed).scalars()) == ["new"]


def test_every_queue_of_a_process_names_its_jobs_the_same(
    migrated_database: str, tmp_path: Path
) -> None:
    """Whoever queues a job by its name, and other workers, know only this one name."""
    settings = load(data_dir=tmp_path)
    first, second = (
        {
            name: task.name
            for name, task in queue.build(migrated_database, job_blueprints(settings)).tasks.items()
            if "builtin" not in name  # the library's own
        }
        for _ in range(2)
    )
    assert first == second == {name: name for name in first}
    assert {name.split(":")[0] for name in first} == {"jobs", *job_blueprints(settings)}
    assert {name.count(":") for name in first} == {1}
    assert verification.TASK in first


def test_ends_of_certificates_are_logged_every_day(
    app: procrastinate.App, database: Database, now: datetime, tmp_path: Path
) -> None:
    """A warning, from seven days on an error, and nothing while there is time."""
    with database.write_tx() as session:
        devcerts.create(
            session,
            load(data_dir=tmp_path),
            pass_type_identifiers=["pass.test.ending"],
            team_identifier="TEST000001",
            now=now,
        )
    moments = [now + timedelta(days=365 - days) for days in (40, 20, 5)]

    async def run_jobs() -> None:
        async with app.open_async():
            for moment in moments:
                await app.configure_task("apple:warn_of_expiry").defer_async(timestamp=0)
                await app.run_worker_async(
                    wait=False,
                    install_signal_handlers=False,
                    additional_context={"database": database, "clock": lambda m=moment: m},
                )

    with structlog.testing.capture_logs() as lines:
        asyncio.run(run_jobs())
    said = [line for line in lines if line.get("pass_type") == "pass.test.ending"]
    assert [(line["log_level"], line["threshold"]) for line in said] == [
        ("warning", 30),
        ("error", 7),
    ]


def test_scheduled_jobs_run_once_however_many_workers_there_are(
    app: procrastinate.App, database: Database
) -> None:
    """Every worker on every host looks at the clock; the database takes each moment once."""
    at = datetime(2026, 11, 20, 3, 30, tzinfo=UTC).timestamp()

    async def look() -> None:
        deferrers = [PeriodicDeferrer(app.periodic_registry, max_delay=3600) for _ in range(4)]
        async with app.open_async():
            await asyncio.gather(*(d.defer_jobs(list(d.get_previous_tasks(at))) for d in deferrers))

    asyncio.run(look())
    with database.read_tx() as session:
        rows = session.execute(
            text("SELECT task_name, count(*) FROM procrastinate_jobs GROUP BY task_name")
        )
        assert {row[0]: row[1] for row in rows} == {
            "jobs:retry_stalled": 1,
            "jobs:forget_idempotency_keys": 1,
            "jobs:forget_failed_jobs": 1,
            "jobs:forget_limits": 1,
            "jobs:forget_inbox": 1,
            "apple:forget_timeline": 1,
        }


def test_a_job_of_a_dead_worker_is_tried_again(
    app: procrastinate.App, database: Database, now: datetime
) -> None:
    """After SIGKILL a job stays 'doing' and its worker's heartbeat stops."""

    async def run_jobs() -> list[str]:
        async with app.open_async():
            await app.configure_task("apple:forget_timeline").defer_async(timestamp=0)
            with database.engine.begin() as connection:
                connection.execute(
                    text("UPDATE procrastinate_jobs SET status = 'doing', worker_id = NULL")
                )
            await app.configure_task("jobs:retry_stalled").defer_async(timestamp=0)
            for _ in range(2):
                await app.run_worker_async(
                    wait=False,
                    install_signal_handlers=False,
                    additional_context={"database": database, "clock": lambda: now},
                )
        with database.read_tx() as session:
            return list(
                session.execute(
                    text(
                        "SELECT DISTINCT status FROM procrastinate_jobs"
                        " WHERE task_name = 'apple:forget_timeline'"
                    )
                ).scalars()
            )

    assert asyncio.run(run_jobs()) == ["succeeded"]


def test_a_job_queued_while_the_worker_looks_is_not_left_lying(
    database: Database, migrated_database: str, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    """The library throws away a signal that comes during a look: somebody would wait for a number
    to call until the worker looks by itself."""
    blueprint = Blueprint()

    @blueprint.task(name="end")
    def end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)  # the worker's own handler takes it

    app = queue.build(migrated_database, {"test": blueprint})
    fetch = app.job_manager.fetch_job
    queued: list[float] = []

    async def fetch_and_be_overtaken(*args: object, **more: object) -> object:
        job = await fetch(*args, **more)  # type: ignore[arg-type]
        if job is None and not queued:
            await app.configure_task("test:end").defer_async()
            queued.append(time.monotonic())
            await asyncio.sleep(0.3)  # the signal is there before the look is over
        return job

    monkeypatch.setattr(app.job_manager, "fetch_job", fetch_and_be_overtaken)
    late = threading.Timer(15, os.kill, (os.getpid(), signal.SIGTERM))
    late.start()  # or a worker that never looks again would never end
    try:
        queue.run(app, database, lambda: now, threading.Event())
    finally:
        late.cancel()
    assert time.monotonic() - queued[0] < 10
