"""Google's jobs by the clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta
from typing import Final

import structlog
from procrastinate import Blueprint, JobContext
from sqlalchemy import text
from sqlmodel import Session

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
KEEP_MESSAGES: Final = timedelta(days=90)
_PIECE: Final = 10_000
_FORGET_MESSAGES: Final = text(
    "DELETE FROM google_messages WHERE id IN (SELECT id FROM google_messages"
    "   WHERE state <> 'due' AND created_at < :limit ORDER BY id LIMIT :count)"
)


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
        with closing(work.asker.client), suppress(Halted):  # kept with its reason
            work.run(SYSTEM)

    @blueprint.periodic(cron="31 3 * * *")
    @blueprint.task(name="forget", pass_context=True, queueing_lock="google-forget")
    def forget_old(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        clock: Clock = context.additional_context["clock"]
        forget(database_of(context), clock())

    return blueprint


def forget(database: Database, now: datetime) -> None:
    """Delete notifications that count no more, messages that were sent or refused long ago, and old
    comparisons, in pieces of their own."""
    gone = _in_pieces(
        database,
        lambda session: budget.forget_before(session, now - KEEP_NOTIFICATIONS, count=_PIECE),
    )
    messages = _in_pieces(database, lambda session: _forget_messages(session, now - KEEP_MESSAGES))
    with database.write_tx() as session:
        report.forget(session, now - report.KEEP)
    log.info("old notifications of Google were forgotten", count=gone, messages=messages)


def _forget_messages(session: Session, limit: datetime) -> int:
    result = session.execute(_FORGET_MESSAGES, {"limit": limit, "count": _PIECE})
    return int(getattr(result, "rowcount", 0))


def _in_pieces(database: Database, forget_some: Callable[[Session], int]) -> int:
    gone, count = 0, _PIECE
    while count == _PIECE:
        with database.write_tx() as session:
            count = forget_some(session)
        gone += count
    return gone
