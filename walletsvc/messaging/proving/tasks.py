"""Jobs: finding a number to ring, and forgetting phones that led to nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog
from procrastinate import Blueprint, JobContext
from sqlalchemy import text

from walletsvc.core.clock import Clock
from walletsvc.jobs.queue import database_of
from walletsvc.messaging import calls
from walletsvc.messaging.proving import ways
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

# Phones of people who never came further are nobody's business for longer.
KEEP: Final = timedelta(days=30)
_PIECE: Final = 1_000
# What proves a consent stays with it.
_FORGET: Final = text("""
DELETE FROM phone_proofs WHERE id IN (
    SELECT p.id FROM phone_proofs p
     WHERE p.created_at < :before AND p.id > :after
       AND NOT EXISTS (SELECT FROM consents c WHERE c.proof_id = p.id)
     ORDER BY p.id LIMIT :piece FOR UPDATE SKIP LOCKED)
RETURNING id
""")


def create() -> Blueprint:
    """The jobs."""
    blueprint = Blueprint()

    @blueprint.periodic(cron="27 3 * * *")
    @blueprint.task(name="forget_proofs", pass_context=True, queueing_lock="forget-proofs")
    def forget_proofs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        clock: Clock = context.additional_context["clock"]
        count = forget(database_of(context), clock())
        log.info("old proofs of phones were deleted", count=count)

    @blueprint.task(name="await_call", pass_context=True)
    def await_call(context: JobContext, proof: str) -> None:
        clock: Clock = context.additional_context["clock"]
        find_number(database_of(context), proof, clock())

    return blueprint


def find_number(database: Database, proof: str, now: datetime) -> None:
    """Have a gateway await the call, and note the number to ring. Without a gateway that can the
    proof ends: another way must be gone."""
    with database.read_tx() as session:
        row = ways.without_number(session, proof, now)
    if row is None:
        return
    waiting = calls.begin(database, organisation_id=row.organisation_id, phone=row.phone, now=now)
    with database.write_tx() as session:
        if waiting is None:
            ways.give_up(session, proof, now)
            return
        ways.ring_to(
            session,
            proof,
            call_to=waiting.call_to,
            external_id=waiting.external_id,
            expires_at=waiting.expires_at,
        )


def forget(database: Database, now: datetime) -> int:
    """Delete the proofs that nothing rests on, in pieces of their own; how many there were."""
    total, after = 0, 0
    while True:
        with database.write_tx() as session:
            values = {"before": now - KEEP, "after": after, "piece": _PIECE}
            gone = session.execute(_FORGET, values).scalars().all()
        total += len(gone)
        if len(gone) < _PIECE:
            return total
        after = max(gone)
