"""What a restored backup owes the phones: they may hold passes newer than the database knows.

Between the backup and the disaster passes were published that are lost now, with tags, dates
and contents that the restored rows do not remember. So every pass counts as published again:
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

# Tags of another epoch count as none, so each phone's next list call names all it holds. Taken
# from the clock, so that two restores of one backup differ.
_NEW_EPOCH: Final = text(
    "UPDATE pass_types SET epoch = GREATEST(epoch + 1, CAST(:seconds AS bigint))"
)
# A date that no lost publication had, also none that ran ahead of the clock because several came
# in one second. A higher revision has a device that registers without a
# download of its own told at once: it may have taken a copy that is lost now.
_AGAIN: Final = text(
    "UPDATE passes SET revision = revision + 1, unclaimed_downloads = 0,"
    " last_modified = GREATEST(date_trunc('second', CAST(:now AS timestamptz)),"
    "   last_modified) + interval '5 seconds'"
    " WHERE revision > 0"
)
_TIMELINE: Final = text(
    "INSERT INTO pass_events (at, kind, pass_type_id, pass_id, detail)"
    " SELECT :now, 'published', pass_type_id, id, jsonb_build_object("
    "   'tag', tag, 'revision', revision, 'version', version_id, 'lane', 'bulk',"
    "   'causes', jsonb_build_array('restore'), 'changed_at', CAST(:said AS text),"
    "   'differs', jsonb_build_object())"
    " FROM passes WHERE revision > 0"
)


def after_restore(session: Session, now: datetime) -> int:
    """Make every published pass one that phones must ask for again; returns how many."""
    session.execute(_NEW_EPOCH, {"seconds": int(now.timestamp())})
    passes = session.execute(_AGAIN, {"now": now})
    session.execute(_TIMELINE, {"now": now, "said": now.isoformat()})
    return int(getattr(passes, "rowcount", 0))
