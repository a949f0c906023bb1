"""Jobs by the clock."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog
from procrastinate import Blueprint, JobContext

from walletsvc.certificates.life import note_expired
from walletsvc.core.clock import Clock
from walletsvc.jobs.queue import database_of
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

_PIECE: Final = 500


def create() -> Blueprint:
    """The jobs."""
    blueprint = Blueprint()

    # Days end in every zone at another hour; each hour a few certificates at most are new.
    @blueprint.periodic(cron="2 * * * *")
    @blueprint.task(
        name="note_expired_certificates",
        pass_context=True,
        queueing_lock="note-expired-certificates",
    )
    def note_expired_certificates(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        clock: Clock = context.additional_context["clock"]
        count = expire(database_of(context), clock())
        log.info("ended certificates were noted", count=count)

    return blueprint


def expire(database: Database, now: datetime) -> int:
    """Note all certificates that have ended, in pieces of their own; how many there were."""
    total = 0
    while True:
        with database.write_tx() as session:
            count = note_expired(session, now, _PIECE)
        total += count
        if count < _PIECE:
            return total
