"""Joining two accounts: one takes over all that the other has, and stands in for it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, update

from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict
from walletsvc.jobs.changes import Lane
from walletsvc.ledger.models import Account, Transaction, TransactionType
from walletsvc.ledger.posting import Leg, Posting, post
from walletsvc.ledger.settling import lock_settled


def merge(
    session: Session,
    source_id: int,
    target_id: int,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    branch_id: int | None = None,
    card_id: int | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> Transaction | None:
    """Move all that `source_id` has to `target_id` and close it; what is undone of its past
    from now on happens to the target. None when there was nothing to move.

    Raises Conflict while anything on either is held, and for a closed account.
    """
    locked = lock_settled(session, [source_id, target_id], now=now, lane=lane)
    source, target = locked[source_id], locked[target_id]
    if source.has_lots or target.has_lots:
        raise NotImplementedError("accounts with lots")
    if source.standing.held or target.standing.held:
        raise Conflict("A part of it is reserved: capture or release the reservation first.")
    amount = source.standing.balance
    made = None
    if amount:
        posting = Posting(
            organisation_id=source.organisation_id,
            type=TransactionType.MERGE,
            actor=actor,
            reason=reason,
            at=now,
            legs=[
                Leg(source.id, source.unit_id, -amount, 0),
                Leg(target.id, target.unit_id, amount, target.standing.balance + amount),
            ],
            branch_id=branch_id,
            card_id=card_id,
        )
        made = post(session, posting, lane=lane)
    session.execute(
        update(Account)
        .where(col(Account.id) == source.id)
        .values(closed_at=now, merged_into_id=target.id)
    )
    return made
