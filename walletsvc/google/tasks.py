"""Google's jobs by the clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog
from procrastinate import Blueprint, JobContext

from walletsvc.core.actor import SYSTEM
from walletsvc.core.clock import Clock
from walletsvc.google import budget
from walletsvc.google.reconciling import report
from walletsvc.google.reconciling.asking import Halted
from walletsvc.google.reconciling.running import Reconciler
from walletsvc.jobs.queue import database_of
from walletsvc.passes.publish import Publisher
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

KEEP_NOTIFICATIONS: Final = timedelta(days=30)  # counted for a day, looked at for a while
_PIECE: Final = 10_000


def create(settings: Settings, publisher: Publisher) -> Blueprint:
    """The jobs of an installation that has an issuer."""
    blueprint = Blueprint()

    @blueprint.periodic(cron="37 4 * * *")
    @blueprint.task(
        name="reconcile",
        pass_context=True,
        queueing_lock="google-reconcile",
        lock="google-reconcile",
    )
    def reconcile(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        clock: Clock = context.additional_context["clock"]
        work = Reconciler.of(
            settings, database_of(context), publisher, clock, stopped=context.should_abort
        )
        try:
            work.run(SYSTEM)
        except Halted:
            pass  # the report says why; there is another night
        finally:
            work.asker.client.close()

    @blueprint.periodic(cron="31 3 * * *")
    @blueprint.task(name="forget", pass_context=True, queueing_lock="google-forget")
    def forget_old(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        clock: Clock = context.additional_context["clock"]
        forget(database_of(context), clock())

    return blueprint


def forget(database: Database, now: datetime) -> None:
    """Delete notifications that count no more and old comparisons, in pieces of their own."""
    gone, count = 0, _PIECE
    while count == _PIECE:
        with database.write_tx() as session:
            count = budget.forget_before(session, now - KEEP_NOTIFICATIONS, count=_PIECE)
        gone += count
    with database.write_tx() as session:
        report.forget(session, now - report.KEEP)
    log.info("old notifications of Google were forgotten", count=gone)
