"""Marking what is to be sent to Google: the one place where a row becomes due.

A row that is due already, claimed or waiting for another try, is left as it is: the claim looks
what the pass says at that moment, and the settlement looks whether the pass says more by then. To
bring a claimed row forward would let a second worker send beside the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import signal

# How long a claim lasts: the longest request (a token, a connection, an answer) fits into it more
# than twice.
LEASE: Final = timedelta(seconds=90)
GOOGLE: Final = "walletsvc_google"  # the signal, and the channel that workers listen on

# Locked in ascending order, as everywhere. What Google does not have yet is inserted by whoever
# wants it, as it is then.
_MARK: Final = text(
    "WITH present AS ("
    "  SELECT o.pass_id FROM google_objects o"
    "  JOIN passes p ON p.id = o.pass_id JOIN pass_types t ON t.id = p.pass_type_id"
    "  WHERE o.pass_id = ANY(:ids) AND o.inserted_at IS NOT NULL AND t.identifier = :issuer_id"
    "  ORDER BY o.pass_id FOR NO KEY UPDATE OF o"
    ") UPDATE google_objects o SET"
    "   lane = CASE WHEN o.due_at IS NULL THEN :lane ELSE LEAST(o.lane, :lane) END,"
    "   due_at = COALESCE(o.due_at, CAST(:now AS timestamptz))"
    " FROM present WHERE o.pass_id = present.pass_id"
)

# An object that nobody holds is sent only because of this wish, so it counts as never sent. A row
# that waits for another try is brought forward when it is surely not claimed by a worker.
_WANT: Final = text(
    "UPDATE google_objects o SET lane = 0, error = '',"
    "   due_at = CASE WHEN o.due_at <= :claimed THEN o.due_at ELSE CAST(:now AS timestamptz) END,"
    "   sent_revision = CASE WHEN o.has_users THEN o.sent_revision ELSE 0 END"
    " FROM passes p WHERE o.pass_id = :pass_id AND p.id = o.pass_id"
    "   AND (o.inserted_at IS NULL OR o.sent_revision <> p.revision)"
)


def mark(
    session: Session, pass_ids: Sequence[int], issuer_id: str, *, lane: Lane, now: datetime
) -> None:
    """Have Google given what these passes say, each once however often it changes meanwhile.
    Those of another issuer, for which nothing is sent, are left out. Workers are told after the
    commit."""
    if not pass_ids:
        return
    values = {"ids": list(pass_ids), "issuer_id": issuer_id, "lane": int(lane), "now": now}
    session.execute(_MARK, values)
    signal(session, GOOGLE)


def want(session: Session, pass_id: int, *, now: datetime) -> None:
    """Somebody wants this object: have Google given it as its pass is now, unless it has that."""
    values = {"pass_id": pass_id, "now": now, "claimed": now + LEASE}
    session.execute(_WANT, values)
    signal(session, GOOGLE)
