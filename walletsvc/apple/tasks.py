"""Apple's jobs by the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from procrastinate import Blueprint, JobContext
from sqlmodel import Session

from walletsvc.apple import identity, logbook
from walletsvc.apple.identity.rules import URGENT_FROM
from walletsvc.core.clock import Clock
from walletsvc.jobs.queue import database_of
from walletsvc.passes import events
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)


def create(keep_timeline: timedelta) -> Blueprint:
    """The jobs; `keep_timeline` is how long it can be told what happened to a pass."""
    blueprint = Blueprint()

    @blueprint.periodic(cron="27 3 * * *")
    @blueprint.task(name="forget_timeline", pass_context=True, queueing_lock="forget-timeline")
    def forget_timeline(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        clock: Clock = context.additional_context["clock"]
        forget(database_of(context), clock() - keep_timeline)

    @blueprint.periodic(cron="41 6 * * *")
    @blueprint.task(name="warn_of_expiry", pass_context=True, queueing_lock="warn-of-expiry")
    def warn_of_expiry(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        clock: Clock = context.additional_context["clock"]
        with database_of(context).read_tx() as session:
            warn(session, clock())

    return blueprint


def warn(session: Session, now: datetime) -> None:
    """Log which signing certificates run out: a warning, from seven days on an error."""
    for certificate in identity.expiring(session, now):
        say = log.error if certificate.days_left <= URGENT_FROM else log.warning
        say(
            "a signing certificate runs out",
            pass_type=certificate.pass_type,
            days_left=certificate.days_left,
            threshold=certificate.threshold,
            valid_until=certificate.not_after.isoformat(),
            advice="'walletsvc certs check' says what to do",
        )


def forget(database: Database, limit: datetime) -> None:
    """Delete what is told of passes and logged by devices from before `limit`."""
    count = {
        "events": _until_none(database, lambda tx: events.forget_before(tx, limit)),
        "device_log_lines": _until_none(database, lambda tx: logbook.forget_before(tx, limit)),
    }
    log.info("old timelines were deleted", **count)


def _until_none(database: Database, forget_some: Callable[[Session], int]) -> int:
    """Each piece in a transaction of its own: a broadcast leaves a hundred thousand rows, and a
    worker that is stopped has done what it did."""
    gone = 0
    while True:
        with database.write_tx() as session:
            count = forget_some(session)
        if not count:
            return gone
        gone += count
