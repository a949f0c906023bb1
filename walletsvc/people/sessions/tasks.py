"""Jobs by the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from procrastinate import Blueprint, JobContext

from walletsvc.core.clock import Clock
from walletsvc.jobs.queue import database_of
from walletsvc.people.sessions import service

# Somebody who finds a stranger among the devices may ask when it was logged out.
KEEP: Final = timedelta(days=30)


def create() -> Blueprint:
    """The jobs."""
    blueprint = Blueprint()

    @blueprint.periodic(cron="52 3 * * *")
    @blueprint.task(name="forget_sessions", pass_context=True, queueing_lock="forget-sessions")
    def forget_sessions(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        clock: Clock = context.additional_context["clock"]
        with database_of(context).write_tx() as session:
            service.forget(session, clock() - KEEP)

    return blueprint
