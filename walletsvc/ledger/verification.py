"""Verifications of the ledger: asked for, done by a job, kept for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlmodel import Session, col, delete, select

from walletsvc.core.actor import Actor
from walletsvc.core.clock import Clock
from walletsvc.core.errors import NotFound
from walletsvc.jobs import queue
from walletsvc.ledger import verify
from walletsvc.ledger.models import Transaction, Verification
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

TASK: Final = "ledger:verify"
LOCK: Final = "ledger-verify"  # one at a time: it reads everything, and others wait for workers
KEEP: Final = timedelta(days=90)
# More help nobody, and a ledger that is damaged everywhere has millions.
MOST: Final = 1000
# The nightly one was missed, and so was the next.
STALE: Final = timedelta(hours=48)


def ask(session: Session, *, actor: Actor, now: datetime) -> Verification:
    """Note that the ledger is to be verified."""
    verification = Verification(actor=str(actor), asked_at=now)
    session.add(verification)
    session.flush()
    return verification


def ask_worker(session: Session, *, actor: Actor, now: datetime) -> Verification:
    """The same, and have a job do it once this transaction is committed."""
    verification = ask(session, actor=actor, now=now)
    queue.defer(session, TASK, lock=LOCK, public_id=verification.public_id)
    return verification


def run(
    database: Database, public_id: str, clock: Clock, checks: Sequence[verify.Check]
) -> Verification:
    """Verify the ledger and keep what was found; raises NotFound.

    One that was done is left as it is: a job may be tried again after its worker died.
    """
    with database.read_tx() as session:
        verification = find(session, public_id)
        if verification.finished_at is not None:
            return verification
        differences: list[tuple[int, str]] = []
        found = 0
        for difference in verify.find(session, checks):
            found += 1
            if found <= MOST:
                differences.append((difference.organisation_id, difference.words))
        seen = verify.counts(session)
    with database.write_tx() as session:
        verification = find(session, public_id)
        verification.entries = seen.entries
        verification.found = found
        verification.differences = differences
        verification.finished_at = clock()
        session.add(verification)
    say = log.error if found else log.info
    say(
        "the ledger was verified",
        verification=public_id,
        differences=found,
        entries=seen.entries,
        **({"advice": "'walletsvc ledger verify' names them"} if found else {}),
    )
    return verification


def find(session: Session, public_id: str) -> Verification:
    """The verification with this public id; raises NotFound."""
    found = session.exec(select(Verification).where(Verification.public_id == public_id)).first()
    if found is None:
        raise NotFound("There is no such verification.")
    return found


def newest(
    session: Session, *, before: Verification | None = None, limit: int
) -> list[Verification]:
    """Verifications, newest first, from after `before` in that order."""
    query = select(Verification).order_by(col(Verification.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(Verification.id) < before.id)
    return list(session.exec(query))


def latest(session: Session) -> Verification | None:
    """The newest that was finished."""
    return session.exec(
        select(Verification)
        .where(col(Verification.finished_at).is_not(None))
        .order_by(col(Verification.finished_at).desc())
        .limit(1)
    ).first()


def forget(session: Session, before: datetime) -> None:
    """Delete verifications that were asked for before this."""
    session.execute(delete(Verification).where(col(Verification.asked_at) < before))


@dataclass(frozen=True, slots=True)
class Health:
    """How long ago the ledger was last verified, None for never, and what was found then."""

    age: timedelta | None
    differences: int


def health(session: Session, now: datetime) -> Health:
    """What the newest finished verification says."""
    last = latest(session)
    if last is None or last.finished_at is None:
        return Health(None, 0)
    return Health(max(now - last.finished_at, timedelta()), last.found)


def warnings(session: Session, now: datetime) -> list[str]:
    """What is wrong with the ledger or its verification, in words.

    Silence is of concern once the ledger's first entries are older than STALE: before, a new
    installation has had no night, or nothing to verify.
    """
    state = health(session, now)
    found = []
    if state.differences:
        found.append(
            f"The ledger has {state.differences} "
            f"difference{'' if state.differences == 1 else 's'}: walletsvc ledger verify"
        )
    first = session.exec(select(Transaction.at).order_by(col(Transaction.id)).limit(1)).first()
    unknown = timedelta() if first is None else max(now - first, timedelta())
    age = unknown if state.age is None else min(state.age, unknown)
    if age > STALE:
        found.append(
            f"The ledger was not verified for {age // timedelta(hours=1)} hours: is a worker "
            "at its jobs?"
        )
    return found
