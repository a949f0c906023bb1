"""Jobs by the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from procrastinate import Blueprint, JobContext

from walletsvc.cards.codes import service
from walletsvc.core.clock import Clock
from walletsvc.jobs.queue import database_of

# A code that was used is told from a wrong one, and a sale's presentation is found, so long.
KEEP: Final = timedelta(days=90)


def create() -> Blueprint:
    """The jobs."""
    blueprint = Blueprint()

    @blueprint.periodic(cron="42 3 * * *")
    @blueprint.task(name="forget_codes", pass_context=True, queueing_lock="forget-codes")
    def forget_codes(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        clock: Clock = context.additional_context["clock"]
        with database_of(context).write_tx() as session:
            service.forget(session, clock() - KEEP)

    return blueprint
