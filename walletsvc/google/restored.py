"""What a restored backup owes Google's copies: they may show what the database never knew.

Everything that somebody holds is sent again, silently: what was lost may have been announced, and
so may what is announced now. Who saved a card since the backup, and what Google holds besides, is
found by the next comparison.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.google.due import GOOGLE
from walletsvc.google.message_box import UNANSWERED
from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import signal

# As if never sent: a value that was not there before is no change, so nothing of it is announced.
# What was reserved for a request without an answer stays spent.
_OBJECTS: Final = text(
    "UPDATE google_objects SET sent_revision = 0, sent_values = '{}', attempt = NULL,"
    "   attempts = 0, error = '', lane = :lane,"
    "   due_at = CASE WHEN has_users OR due_at IS NOT NULL THEN CAST(:now AS timestamptz) END"
)
_COUNT: Final = text("SELECT count(*) FROM google_objects WHERE due_at IS NOT NULL")
# A message that was to be sent at the time was sent since, or nearly all were: each is looked for
# in its object first, and sounds no more.
_MESSAGES: Final = text(
    "UPDATE google_messages SET error = :unanswered, attempts = GREATEST(attempts, 1),"
    "   due_at = :now, wants_buzz = wants_buzz AND pass_id IS NULL WHERE state = 'due'"
)
# Another body than ours, whatever it is.
_CLASSES: Final = text(
    "UPDATE google_classes SET due_at = NULL, attempts = 0, error = '',"
    "   digest = CASE WHEN digest IS NOT NULL THEN CAST('' AS bytea) END"
)
# What a fault stopped may be whole again; what the operator paused stays paused.
_OPEN: Final = text(
    "UPDATE google_issuers SET free_at = LEAST(free_at, CAST(:now AS timestamptz)),"
    "   state = CASE WHEN state = 'paused' THEN state ELSE 'open' END,"
    "   reason = CASE WHEN state = 'paused' THEN reason ELSE '' END,"
    "   failures = 0, retry_at = NULL"
)


def after_restore(session: Session, now: datetime) -> int:
    """Have Google given everything that somebody holds; returns how many objects are due."""
    session.execute(_OBJECTS, {"lane": int(Lane.BULK), "now": now})
    session.execute(_MESSAGES, {"unanswered": UNANSWERED, "now": now})
    session.execute(_CLASSES)
    session.execute(_OPEN, {"now": now})
    signal(session, GOOGLE)
    return int(session.execute(_COUNT).scalar_one())
