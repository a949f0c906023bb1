"""Scheduled jobs run in the real queue."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import procrastinate
import pytest
from sqlalchemy import text

from walletsvc.apple import logbook, tasks
from walletsvc.jobs import queue
from walletsvc.passes import events
from walletsvc.passes.models import EventKind
from walletsvc.storage import idempotency
from walletsvc.storage.engine import Database


@pytest.fixture(scope="module")
def app(migrated_database: str) -> procrastinate.App:
    """The queue; blueprints belong to the first app that takes them, so there is one."""
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
