"""Whether messages leave, in words: for `/readyz` and `walletsvc doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.clock import Clock
from walletsvc.jobs.signals import listening
from walletsvc.messaging.outbox import MESSAGES
from walletsvc.messaging.service import list_gateways
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import is_current
from walletsvc.web.health import Findings

_LATE_SECONDS: Final = 120.0
# What waits for a gateway that is out of use says so by itself.
_OLDEST: Final = text(
    "SELECT min(due_at) FROM messages WHERE lane = 0 AND due_at IS NOT NULL AND due_at <= :now"
)


def absent_workers(session: Session) -> list[str]:
    """That nobody is there to send, in words."""
    if MESSAGES in listening(session):
        return []
    return ["Nobody sends messages: start `walletsvc worker`."]


def examine(database: Database, clock: Clock, found: Findings) -> Findings:
    """What was found, and what there is to say of messages."""
    if not is_current(database):
        return found
    with database.read_tx() as session:
        return Findings(
            [*found.problems, *absent_workers(session)],
            [*found.warnings, *warnings(session, clock())],
        )


def warnings(session: Session, now: datetime) -> Iterator[str]:
    """What keeps messages from leaving."""
    for gateway in list_gateways(session):
        if gateway.stopped_reason:
            yield f"The message gateway {gateway.label} is out of use: {gateway.stopped_reason}"
    oldest = session.execute(_OLDEST, {"now": now}).scalar()
    late = (now - oldest).total_seconds() if oldest else 0.0
    if late > _LATE_SECONDS:
        yield f"A message has been waiting for {late:.0f} s: see `walletsvc messages list`."
