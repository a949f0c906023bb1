"""What is kept of timelines, and for how long."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text

from walletsvc.apple import tasks
from walletsvc.storage.engine import Database

MANY = 20_001  # more than two pieces

_FILL = text(
    "INSERT INTO pass_events (at, kind, pass_type_id, pass_id, detail)"
    " SELECT CAST(:at AS timestamptz), 'fetched', 1, n, '{}' FROM generate_series(1, :count) n"
)


def test_a_night_deletes_all_that_is_too_old(database: Database, now: datetime) -> None:
    """In pieces, until nothing is left; what is younger stays."""
    limit = now - timedelta(days=30)
    with database.write_tx() as session:
        session.execute(_FILL, {"at": limit - timedelta(seconds=1), "count": MANY})
        session.execute(_FILL, {"at": limit, "count": 1})
    tasks.forget(database, limit)
    with database.read_tx() as session:
        assert session.execute(text("SELECT array_agg(at) FROM pass_events")).scalar() == [limit]
