"""The ledger's jobs by the clock."""

from __future__ import annotations

import structlog
from procrastinate import Blueprint, JobContext

from walletsvc.core.clock import Clock
from walletsvc.jobs.queue import database_of
from walletsvc.ledger import due
from walletsvc.ledger.due import Due, Settled

log = structlog.get_logger(__name__)


def create() -> Blueprint:
    """The jobs.

    Points mature and end at the end of a day in their programme's zone: with programmes in
    several zones some day ends at any hour. `lock` keeps a job that takes longer than the time
    to its next run from running beside it on another host.
    """
    blueprint = Blueprint()

    @blueprint.periodic(cron="3 * * * *")
    @blueprint.task(
        name="settle", pass_context=True, queueing_lock="ledger-settle", lock="ledger-settle"
    )
    def settle(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        clock: Clock = context.additional_context["clock"]
        _log(due.settle_all(database_of(context), clock()))

    @blueprint.periodic(cron="* * * * *")
    @blueprint.task(
        name="release_holds", pass_context=True, queueing_lock="release-holds", lock="release-holds"
    )
    def release_holds(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        clock: Clock = context.additional_context["clock"]
        done = due.settle_all(database_of(context), clock(), (Due.HOLDS,))
        if done.looked_at:  # most minutes there is nothing to say
            _log(done)

    return blueprint


def _log(done: Settled) -> None:
    log.info(
        "accounts were brought up to now",
        accounts=done.looked_at,
        holds_released=done.released,
        matured=done.matured,
        expired=done.expired,
    )
