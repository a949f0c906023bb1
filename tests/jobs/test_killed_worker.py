"""A worker that is killed in the middle of a job leaves it to the next one."""

from __future__ import annotations

import subprocess
import sys

from sqlalchemy import text

from walletsvc.storage.engine import Database

# Workers like any other. The first one's job says that it began and never ends.
_WORKER = """
import asyncio, contextlib, sys, threading, time
from procrastinate import Blueprint
from procrastinate.exceptions import AlreadyEnqueued
from walletsvc.core.clock import utcnow
from walletsvc.jobs import queue
from walletsvc.storage.engine import Database
url, role = sys.argv[1:]
blueprint = Blueprint()
@blueprint.task(name="errand")
def errand():
    print("began", flush=True)
    time.sleep(600 if role == "dies" else 0)
app = queue.build(url, {"test": blueprint})
async def once():
    async with app.open_async():
        with contextlib.suppress(AlreadyEnqueued):  # by the clock of the one that died
            await app.configure_task("jobs:retry_stalled").defer_async(timestamp=0)
        for _ in range(2):
            await app.run_worker_async(wait=False, install_signal_handlers=False)
if role == "dies":
    with app.open():
        app.configure_task("test:errand").defer()
    queue.run(app, Database(url), utcnow, threading.Event())
else:
    asyncio.run(once())
"""
_TIME_PASSES = text(
    "UPDATE procrastinate_workers SET last_heartbeat ="
    " last_heartbeat - make_interval(secs => :seconds)"
)
_JOBS = text("SELECT status, attempts FROM procrastinate_jobs WHERE task_name = 'test:errand'")


def jobs(database: Database) -> list[tuple[str, int]]:
    """State and attempts of the errands."""
    with database.read_tx() as session:
        return [(row.status, row.attempts) for row in session.execute(_JOBS)]


def rescue(database: Database, seconds: float) -> list[tuple[str, int]]:
    """Let time pass, have another worker look, and tell how the errand is."""
    with database.write_tx() as session:
        session.execute(_TIME_PASSES, {"seconds": seconds})
    subprocess.run(
        [sys.executable, "-c", _WORKER, database.conninfo, "rescues"], check=True, timeout=60
    )
    return jobs(database)


def test_a_killed_workers_job_is_taken_up_soon(database: Database) -> None:
    """A worker that may still live keeps its job; after thirty silent seconds another has it."""
    command = [sys.executable, "-c", _WORKER, database.conninfo, "dies"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "began\n"
        worker.kill()
    assert jobs(database) == [("doing", 0)]
    assert rescue(database, 5) == [("doing", 0)]
    assert rescue(database, 26) == [("succeeded", 2)]
