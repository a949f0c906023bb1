"""What a restored backup owes Apple's phones: word that they should ask, and open channels."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.apple.dialect import PUSHES
from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import signal

# Every phone comes and takes its passes anew: not all in the same second.
PUSHES_PER_SECOND: Final = 200

# An apns-id is made from the row's id, and ids given after the backup were used once already.
# Microseconds run ahead of any number of pushes, also of those after another restore.
_FRESH_IDS: Final = text(
    "SELECT setval(pg_get_serial_sequence('pushes', 'id'),"
    " GREATEST(nextval(pg_get_serial_sequence('pushes', 'id')), CAST(:micros AS bigint)))"
)
# Those that were waiting or claimed at the time are among these.
_FORGET_QUEUED: Final = text("DELETE FROM pushes")
_TELL_EVERYBODY: Final = text(
    "INSERT INTO pushes (device_id, pass_type_id, lane, due_at, attempts, created_at)"
    " SELECT device_id, pass_type_id, :lane, CAST(:now AS timestamptz) + make_interval("
    "   secs => (row_number() OVER (ORDER BY device_id, pass_type_id) - 1) / :rate),"
    "   0, CAST(:now AS timestamptz)"
    " FROM (SELECT DISTINCT device_id, pass_type_id FROM registrations) AS held"
)
_NOT_QUIET: Final = text("UPDATE devices SET quiet_until = NULL WHERE quiet_until IS NOT NULL")
# What a fault closed may be whole again; what the operator paused stays paused.
_OPEN: Final = text("DELETE FROM push_channels WHERE state = 'stopped'")


def after_restore(session: Session, now: datetime) -> int:
    """Queue one push per device and pass type; returns how many."""
    session.execute(_FORGET_QUEUED)
    session.execute(_FRESH_IDS, {"micros": int(now.timestamp() * 1_000_000)})
    told = session.execute(
        _TELL_EVERYBODY, {"lane": int(Lane.BULK), "now": now, "rate": float(PUSHES_PER_SECOND)}
    )
    session.execute(_NOT_QUIET)
    session.execute(_OPEN)
    signal(session, PUSHES)
    return int(getattr(told, "rowcount", 0))
