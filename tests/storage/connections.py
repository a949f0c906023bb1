"""What happens to connections from outside."""

from __future__ import annotations

import time

import psycopg
from sqlalchemy import text

from walletsvc.storage.engine import Database


def cut(database: Database) -> None:
    """End all of the database's connections from the other side, as a restart does."""
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def until_one_waits(database: Database) -> None:
    """Until a connection of the database waits for a lock of another."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with database.read_tx() as session:
            if session.execute(waiting).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("nothing waits for a lock")
