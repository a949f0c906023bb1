"""After a restore: what was to be sent when the backup was made has long been sent, or nobody
wants it any more. To send it again would be worse than not to."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import CursorResult, text
from sqlmodel import Session

_END: Final = text(
    "UPDATE messages SET state = 'expired', final_at = :now, due_at = NULL, body = NULL,"
    "   error = 'A backup was restored; it may have been sent before.'"
    " WHERE state IN ('queued', 'sending')"
)
_NO_NEWS: Final = text("UPDATE messages SET due_at = NULL WHERE due_at IS NOT NULL")


def after_restore(session: Session, now: datetime) -> int:
    """Let nothing of the backup be sent; how many messages that were."""
    ended = session.execute(_END, {"now": now})
    session.execute(_NO_NEWS)
    return int(ended.rowcount) if isinstance(ended, CursorResult) else 0
