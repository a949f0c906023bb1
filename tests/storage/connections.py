"""What happens to connections from outside."""

from __future__ import annotations

import psycopg

from walletsvc.storage.engine import Database


def cut(database: Database) -> None:
    """End all of the database's connections from the other side, as a restart does."""
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
