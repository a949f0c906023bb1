"""Apple's jobs by the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog
from procrastinate import Blueprint, JobContext

from walletsvc.apple import identity, logbook
from walletsvc.apple.identity.rules import URGENT_FROM
from walletsvc.core.clock import Clock
from walletsvc.jobs.queue import database_of

log = structlog.get_logger(__name__)

blueprint = Blueprint()

KEEP_DEVICE_LOGS: Final = timedelta(days=30)


@blueprint.periodic(cron="27 3 * * *")
@blueprint.task(name="forget_device_logs", pass_context=True, queueing_lock="forget-device-logs")
def forget_device_logs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Delete device log lines that explain nothing current any more."""
    clock: Clock = context.additional_context["clock"]
    with database_of(context).write_tx() as session:
        count = logbook.forget_before(session, clock() - KEEP_DEVICE_LOGS)
    log.info("old device log lines were deleted", count=count)


@blueprint.periodic(cron="41 6 * * *")
@blueprint.task(name="warn_of_expiry", pass_context=True, queueing_lock="warn-of-expiry")
def warn_of_expiry(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Log every day which signing certificates run out: a warning, from seven days on an error."""
    clock: Clock = context.additional_context["clock"]
    with database_of(context).read_tx() as session:
        found = identity.expiring(session, clock())
    for certificate in found:
        say = log.error if certificate.days_left <= URGENT_FROM else log.warning
        say(
            "a signing certificate runs out",
            pass_type=certificate.pass_type,
            days_left=certificate.days_left,
            threshold=certificate.threshold,
            valid_until=certificate.not_after.isoformat(),
            advice="'walletsvc certs check' says what to do",
        )
