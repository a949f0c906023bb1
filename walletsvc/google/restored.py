"""What a restored backup cannot know: what Google was given after it was taken."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.google.due import GOOGLE
from walletsvc.google.message_box import UNANSWERED
from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import signal

# Sent again, whatever the backup says of them. Nobody is told: the values are those that the
# backup knows as sent. A lease of the old installation is over.
_AGAIN: Final = text(
    "UPDATE google_objects SET sent_revision = 0, lane = :lane, due_at = :now, attempts = 0"
    " WHERE inserted_at IS NOT NULL"
)
# These may have been sent since: they are looked for first.
_MESSAGES: Final = text(
    "UPDATE google_messages SET error = :error, due_at = :now WHERE state = 'due'"
)
# Sent anew, since nobody knows what Google was given last.
_CLASSES: Final = text(
    "UPDATE google_classes SET digest = '', due_at = NULL WHERE digest IS NOT NULL"
)
# What a fault closed may be whole again; what the operator paused stays paused.
_OPEN: Final = text(
    "UPDATE google_issuers SET state = 'open', reason = '', failures = 0, since = :now,"
    "   retry_at = NULL, free_at = :now WHERE state = 'stopped'"
)


def after_restore(session: Session, now: datetime) -> int:
    """Have Google given everything once more, silently; returns how many objects that are."""
    sent = session.execute(_AGAIN, {"lane": int(Lane.BULK), "now": now})
    session.execute(_MESSAGES, {"error": UNANSWERED, "now": now})
    session.execute(_CLASSES)
    session.execute(_OPEN, {"now": now})
    signal(session, GOOGLE)
    return int(getattr(sent, "rowcount", 0))
