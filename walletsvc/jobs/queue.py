"""The job queue: procrastinate in the same database, and the jobs every installation needs.

Single changes do not go through it (the change log does that far faster); it carries what
runs by the clock or takes long. Features bring their jobs as blueprints of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import procrastinate
import psycopg
import structlog
from procrastinate import App, Blueprint, JobContext
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task
from sqlmodel import Session

from walletsvc.core.clock import Clock
from walletsvc.storage import idempotency, inbox, limits
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

_RETRY_SECONDS: Final = 3.0
# A new job is announced, but the library forgets what is announced while it looks for another one,
# and somebody may be waiting: for the number to call, say. So it also looks by itself.
_LOOK_SECONDS: Final = 5.0
_ABORT_SECONDS: Final = 20.0  # aborting is announced as well; nobody of ours asks for it
# A worker says that it lives every so often. Silent for three times as long it is dead, and
# soon afterwards its jobs are tried again.
HEARTBEAT_SECONDS: Final = 10.0
DEAD_SECONDS: Final = 30.0
KEEP_IDEMPOTENCY_KEYS: Final = timedelta(days=90)
KEEP_INBOX: Final = timedelta(days=90)
KEEP_FAILED_JOBS: Final = timedelta(days=7)
KEEP_LIMITS: Final = timedelta(days=8)  # no limit counts over more than a week
# A verification of the ledger takes minutes, and a million lots may mature in one run; what is
# due every minute must not wait behind them.
_AT_ONCE: Final = 4


def build(conninfo: str, blueprints: Mapping[str, Blueprint]) -> App:
    """The queue with these blueprints' jobs, each under its namespace.

    A blueprint belongs to the queue that took it: make a new one for every queue.
    """
    app = App(connector=procrastinate.PsycopgConnector(conninfo=conninfo))
    for namespace, tasks in {"jobs": create(), **blueprints}.items():
        app.add_tasks_from(tasks, namespace=namespace)
    return app


def defer(session: Session, task: str, *, lock: str | None = None, **arguments: int | str) -> None:
    """Have a job run soon; it is queued in the caller's transaction, and not without it.

    `task` is its name with its namespace, as in `ledger:verify`; of jobs with the same `lock` one
    runs at a time. Queued by name, a job does not know the lock of its declaration.
    """
    # Never opened: it names the queries. A whole App would rename the library's own jobs each time.
    manager = JobManager(procrastinate.SyncPsycopgConnector())
    driver = session.connection().connection.driver_connection
    configure_task(name=task, job_manager=manager, connection=driver, lock=lock).defer(**arguments)


def run(app: App, database: Database, clock: Clock, stop: threading.Event) -> None:
    """Run jobs until SIGTERM or SIGINT; a database that goes away is waited for.

    `stop` is what the signals' handlers set while no worker runs. Call it in the main thread.
    """
    while not stop.is_set():
        try:
            asyncio.run(_work(app, database, clock, stop))
        except (ConnectorException, psycopg.OperationalError) as error:
            log.warning("the job queue cannot be reached", error=str(error).strip())
            stop.wait(_RETRY_SECONDS)


async def _work(app: App, database: Database, clock: Clock, stop: threading.Event) -> None:
    """One run of the worker; running jobs are finished first, however often it is asked to end.

    The queue's own handlers would leave the second signal to kill a job halfway.
    """
    loop = asyncio.get_running_loop()
    async with app.open_async():
        worker = asyncio.ensure_future(
            app.run_worker_async(
                concurrency=_AT_ONCE,
                delete_jobs="successful",
                fetch_job_polling_interval=_LOOK_SECONDS,
                abort_job_polling_interval=_ABORT_SECONDS,
                additional_context={"database": database, "clock": clock},
                install_signal_handlers=False,
                update_heartbeat_interval=HEARTBEAT_SECONDS,
                stalled_worker_timeout=DEAD_SECONDS,
            )
        )

        def end() -> None:
            if not stop.is_set():
                stop.set()
                worker.cancel()  # it takes no new job and waits for those it has

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        if stop.is_set():  # it came before the handlers were there
            worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker


def database_of(context: JobContext) -> Database:
    """The database a job works on."""
    database = context.additional_context["database"]
    assert isinstance(database, Database)  # noqa: S101 - for the type checker
    return database


def create() -> Blueprint:
    """The jobs of the queue itself: every installation has them."""
    blueprint = Blueprint()

    @blueprint.periodic(cron="* * * * *")
    @blueprint.task(name="retry_stalled", pass_context=True, queueing_lock="retry-stalled")
    async def retry_stalled(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Put jobs of workers that died back into the queue."""
        manager = context.app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_SECONDS):
            log.warning("a stalled job is tried again", task=job.task_name, job=job.id)
            await manager.retry_job(job)

    _forget(blueprint)
    return blueprint


def _forget(blueprint: Blueprint) -> None:
    """The nightly jobs that delete what nobody asks for any more."""

    @blueprint.periodic(cron="17 3 * * *")
    @blueprint.task(
        name="forget_idempotency_keys", pass_context=True, queueing_lock="forget-idempotency-keys"
    )
    def forget_idempotency_keys(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Delete idempotency keys nobody can be retrying any more."""
        clock: Clock = context.additional_context["clock"]
        with database_of(context).write_tx() as session:
            count = idempotency.forget_before(session, clock() - KEEP_IDEMPOTENCY_KEYS)
        log.info("old idempotency keys were deleted", count=count)

    @blueprint.periodic(cron="19 3 * * *")
    @blueprint.task(name="forget_inbox", pass_context=True, queueing_lock="forget-inbox")
    def forget_inbox(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Delete what other systems told us long ago."""
        clock: Clock = context.additional_context["clock"]
        limit, gone, count = clock() - KEEP_INBOX, 0, 1
        while count:
            with database_of(context).write_tx() as session:
                count = inbox.forget_before(session, limit)
            gone += count
        log.info("old entries of the inbox were deleted", count=gone)

    @blueprint.periodic(cron="22 3 * * *")
    @blueprint.task(
        name="forget_failed_jobs", pass_context=True, queueing_lock="forget-failed-jobs"
    )
    async def forget_failed_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Delete jobs that failed long enough ago to have been looked at."""
        await context.app.job_manager.delete_old_jobs(
            nb_hours=KEEP_FAILED_JOBS // timedelta(hours=1),
            include_failed=True,
            include_cancelled=True,
            include_aborted=True,
        )

    @blueprint.periodic(cron="13 3 * * *")
    @blueprint.task(name="forget_limits", pass_context=True, queueing_lock="forget-limits")
    def forget_limits(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Delete counts of tries in windows that are over."""
        clock: Clock = context.additional_context["clock"]
        with database_of(context).write_tx() as session:
            limits.forget(session, clock() - KEEP_LIMITS)
