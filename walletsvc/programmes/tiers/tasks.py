"""The tiers' job by the clock."""

from __future__ import annotations

import structlog
from procrastinate import Blueprint, JobContext

from walletsvc.core.clock import Clock
from walletsvc.jobs.queue import database_of
from walletsvc.programmes.tiers import schedule

log = structlog.get_logger(__name__)


def create() -> Blueprint:
    """The job."""
    blueprint = Blueprint()

    # Early in the morning in the zones of most programmes; a day elsewhere is made up for.
    @blueprint.periodic(cron="27 2 * * *")
    @blueprint.task(name="look_at_tiers", pass_context=True, queueing_lock="tiers", lock="tiers")
    def look_at_tiers(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Move down whose tier is no longer reached, and count rolling windows anew."""
        clock: Clock = context.additional_context["clock"]
        done = schedule.run(database_of(context), clock)
        log.info("tiers were looked at", accounts=done.accounts, up=done.up, down=done.down)

    return blueprint
