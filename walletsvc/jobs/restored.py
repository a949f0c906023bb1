"""What a restored backup brings along of work under way: its workers are gone."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlmodel import Session

# A change that failed then may succeed now.
_DUE: Final = text("UPDATE changes SET postponed_until = NULL WHERE postponed_until IS NOT NULL")
# Started jobs start again; of several that must not wait beside each other one does.
_REPEATED: Final = text(
    "DELETE FROM procrastinate_jobs j USING (SELECT id, queueing_lock IS NOT NULL AND ("
    "     row_number() OVER (PARTITION BY queueing_lock ORDER BY id) > 1"
    "     OR EXISTS (SELECT FROM procrastinate_jobs t"
    "       WHERE t.status = 'todo' AND t.queueing_lock = s.queueing_lock)) AS repeated"
    "   FROM procrastinate_jobs s WHERE status = 'doing') AS d"
    " WHERE j.id = d.id AND d.repeated"
)
_START_AGAIN: Final = text(
    "UPDATE procrastinate_jobs SET worker_id = NULL, abort_requested = false, status = 'todo'"
    " WHERE status = 'doing'"
)
_NO_WORKERS: Final = text("DELETE FROM procrastinate_workers")
# The rate of a bulk job counts anew from its next piece: nothing was done without a service.
_GO_ON: Final = text(
    "UPDATE bulk_jobs SET counted_from = NULL, counted_done = done WHERE state = 'running'"
)


def after_restore(session: Session) -> None:
    """Make work that was under way at the time of the backup ready to be taken up."""
    session.execute(_DUE)
    session.execute(_REPEATED)
    session.execute(_START_AGAIN)
    session.execute(_NO_WORKERS)
    session.execute(_GO_ON)
