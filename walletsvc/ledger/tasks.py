"""The ledger's jobs by the clock, and its verification on demand."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from procrastinate import Blueprint, JobContext

from walletsvc.core.actor import SYSTEM
from walletsvc.core.clock import Clock
from walletsvc.jobs.queue import database_of
from walletsvc.ledger import clearing_days, due, verification
from walletsvc.ledger.due import Due, Settled
from walletsvc.ledger.verify import Check

log = structlog.get_logger(__name__)


def create(checks: Sequence[Check]) -> Blueprint:
    """The jobs; `checks` are all that a verification looks at.

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
        _log(due.settle_all(database_of(context), _clock(context)()))

    @blueprint.periodic(cron="* * * * *")
    @blueprint.task(
        name="release_holds", pass_context=True, queueing_lock="release-holds", lock="release-holds"
    )
    def release_holds(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        done = due.settle_all(database_of(context), _clock(context)(), (Due.HOLDS,))
        if done.looked_at:  # most minutes there is nothing to say
            _log(done)

    @blueprint.periodic(cron="51 */6 * * *")
    @blueprint.task(
        name="count_clearing",
        pass_context=True,
        queueing_lock="count-clearing",
        lock="count-clearing",
    )
    def count_clearing(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        clearing_days.count(database_of(context))

    @blueprint.periodic(cron="11 4 * * *")
    @blueprint.task(name="verify_nightly", pass_context=True, queueing_lock="ledger-verify")
    def verify_nightly(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        database, clock = database_of(context), _clock(context)
        with database.write_tx() as session:
            verification.forget(session, clock() - verification.KEEP)
            asked = verification.ask(session, actor=SYSTEM, now=clock())
        verification.run(database, asked.public_id, clock, checks)

    @blueprint.task(name="verify", pass_context=True, lock=verification.LOCK)
    def verify(context: JobContext, public_id: str) -> None:
        verification.run(database_of(context), public_id, _clock(context), checks)

    return blueprint


def _clock(context: JobContext) -> Clock:
    clock: Clock = context.additional_context["clock"]
    return clock


def _log(done: Settled) -> None:
    log.info(
        "accounts were brought up to now",
        accounts=done.looked_at,
        holds_released=done.released,
        matured=done.matured,
        expired=done.expired,
    )
