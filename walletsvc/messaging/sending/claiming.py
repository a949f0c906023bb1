"""Taking a message that is due: locked by nobody, and nobody else's for the time of the lease."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, exists, select

from walletsvc.jobs.changes import Lane
from walletsvc.messaging.models import Message
from walletsvc.messaging.sending.rules import LEASE


def is_due(session: Session, now: datetime) -> bool:
    """Whether there is one to claim, unless somebody has it already."""
    lanes = [int(lane) for lane in Lane]
    due = col(Message.lane).in_(lanes), col(Message.due_at) <= now
    return session.exec(select(exists().where(*due))).one()


def claim(session: Session, lanes: Sequence[Lane], now: datetime) -> Message | None:
    """The message that is due for longest, the urgent lane first, and only in these lanes; None
    when there is none. It is due again after the lease, unless its sender says otherwise."""
    for lane in sorted(lanes):
        message = session.exec(
            select(Message)
            .where(Message.lane == int(lane), col(Message.due_at) <= now)
            .order_by(col(Message.due_at))
            .limit(1)
            .with_for_update(skip_locked=True)
        ).first()
        if message is not None:
            message.due_at = now + LEASE
            return message
    return None
