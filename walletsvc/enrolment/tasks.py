"""Birthdays, and lists that nobody ran, by the clock."""

from __future__ import annotations

from datetime import datetime

import structlog
from procrastinate import Blueprint, JobContext

from walletsvc.core.clock import Clock
from walletsvc.enrolment import gifts
from walletsvc.enrolment.importing.tasks import forget
from walletsvc.jobs.queue import database_of
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)


def create() -> Blueprint:
    """The jobs."""
    blueprint = Blueprint()

    # Each hour, since a day begins at another hour in another zone.
    @blueprint.periodic(cron="33 * * * *")
    @blueprint.task(
        name="birthdays", pass_context=True, queueing_lock="birthdays", lock="birthdays"
    )
    def birthdays(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Give what birthdays bring."""
        clock: Clock = context.additional_context["clock"]
        log.info("birthdays were thought of", cards=give(database_of(context), clock()))

    @blueprint.periodic(cron="17 3 * * *")
    @blueprint.task(name="forget_imports", pass_context=True, queueing_lock="forget_imports")
    def forget_imports(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Forget lists of cards that nobody ran."""
        clock: Clock = context.additional_context["clock"]
        with database_of(context).write_tx() as session:
            forget(session, clock())

    return blueprint


def give(database: Database, now: datetime) -> int:
    """Give all that is due, in pieces; how many cards got it."""
    done = 0
    with database.read_tx() as session:
        ids = [programme.id for programme in gifts.programmes(session)]
    for programme_id in ids:
        while True:
            with database.write_tx() as session:
                programme = gifts.programme(session, programme_id)
                given = gifts.birthdays(session, programme, now)
            if not given:
                break
            done += given
    return done
