"""Jobs about messages: acting upon what gateways told, and forgetting what is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog
from procrastinate import Blueprint, JobContext
from sqlalchemy import CursorResult, text

from walletsvc.core.clock import Clock
from walletsvc.jobs.queue import database_of
from walletsvc.messaging import hooks
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

KEEP_WORDS: Final = timedelta(days=30)
KEEP: Final = timedelta(days=400)
_PIECE: Final = 5000
_BLANK: Final = text(
    "UPDATE messages SET body = NULL WHERE id IN (SELECT id FROM messages"
    "   WHERE body IS NOT NULL AND due_at IS NULL AND created_at < :limit LIMIT :count)"
)
_FORGET: Final = text(
    "DELETE FROM messages WHERE id IN (SELECT id FROM messages"
    "   WHERE due_at IS NULL AND created_at < :limit LIMIT :count)"
)


def create() -> Blueprint:
    """The jobs."""
    blueprint = Blueprint()

    # Also by the clock: what came before its message was noted waits for it.
    @blueprint.periodic(cron="* * * * *")
    @blueprint.task(name="hooks", pass_context=True, lock=hooks.TASK)
    def work_through(context: JobContext, timestamp: int = 0) -> None:  # noqa: ARG001
        """Act upon what gateways told."""
        clock: Clock = context.additional_context["clock"]
        hooks.work_through(database_of(context), clock())

    @blueprint.periodic(cron="41 3 * * *")
    @blueprint.task(name="forget", pass_context=True, queueing_lock="messages-forget")
    def forget_old(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Forget what messages said, and later the messages."""
        clock: Clock = context.additional_context["clock"]
        forget(database_of(context), clock())

    return blueprint


def forget(database: Database, now: datetime) -> None:
    """Blank the words of old messages and delete very old ones, in pieces."""
    for statement, limit in ((_BLANK, now - KEEP_WORDS), (_FORGET, now - KEEP)):
        count = _PIECE
        while count == _PIECE:
            with database.write_tx() as session:
                gone = session.execute(statement, {"limit": limit, "count": _PIECE})
                count = gone.rowcount if isinstance(gone, CursorResult) else 0
    log.info("old messages were forgotten")
