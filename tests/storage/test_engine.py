"""Transactions and their signals."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError

from walletsvc.core.errors import Unavailable
from walletsvc.jobs.changes import CHANGES, touch
from walletsvc.storage import engine
from walletsvc.storage.engine import Database


def cut(database: Database) -> None:
    """End all of the database's connections from the other side, as a restart does."""
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_signal_is_raised_once_and_only_after_a_commit(database_url: str, now: datetime) -> None:
    """A worker must never be woken for something it cannot see."""
    raised: list[str] = []
    database = Database(database_url, on_commit=raised.append)
    with database.write_tx() as session:
        touch(session, "card", [1], at=now)
        touch(session, "card", [2, 3], at=now)
        assert raised == []
    assert raised == [CHANGES]
    with pytest.raises(RuntimeError), database.write_tx() as session:
        touch(session, "card", [4], at=now)
        raise RuntimeError
    assert raised == [CHANGES]
    with database.read_tx() as session:
        keys = session.execute(text("SELECT key FROM changes ORDER BY id")).scalars().all()
    assert keys == [1, 2, 3]
    database.close()


def test_a_read_transaction_cannot_write(database: Database, now: datetime) -> None:
    """And the connection it used can, afterwards."""
    for _ in range(3):
        with pytest.raises(InternalError, match="read-only"), database.read_tx() as session:
            touch(session, "card", [1], at=now)
        with database.write_tx() as session:
            touch(session, "card", [2], at=now)


def test_one_row_straight_from_the_driver(database: Database) -> None:
    """By column names; nothing found is None; the connection serves transactions as before."""
    row = database.fetch_one("SELECT 1 AS one, %(word)s AS word", {"word": "да"})
    assert (row.one, row.word) == (1, "да")
    assert database.fetch_one("SELECT 1 WHERE %(no)s", {"no": False}) is None
    with pytest.raises(psycopg.errors.DivisionByZero):
        database.fetch_one("SELECT 1 / %(zero)s", {"zero": 0})
    with database.write_tx() as session:
        session.execute(text("CREATE TEMPORARY TABLE seen (id int) ON COMMIT DROP"))
    with database.write_tx() as session:
        assert session.execute(text("SELECT to_regclass('seen')")).scalar() is None


def test_a_read_goes_on_after_the_connection_was_cut(database: Database) -> None:
    """Also when the connection was in use a moment ago and is therefore not asked first."""
    for _ in range(3):
        assert database.fetch_one("SELECT 1 AS one", {}).one == 1
        cut(database)


def test_a_connection_that_died_while_idle_is_replaced(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gets a connection after a pause gets one that lives."""
    monkeypatch.setattr(engine, "_TRUSTED_SECONDS", 0.0)
    for _ in range(3):
        with database.write_tx() as session:
            session.execute(text("SELECT 1"))
        cut(database)


def test_a_database_that_is_away_is_said_to_be_unavailable(tmp_path: Path) -> None:
    """Not a failure of ours: the caller may try again."""
    database = Database(f"postgresql://nobody@/nothing?host={tmp_path}")
    with pytest.raises(Unavailable, match="does not answer"):
        database.fetch_one("SELECT 1", {})


def test_a_lazy_transaction_begins_when_it_is_asked_for(database: Database) -> None:
    """And only once; unasked it takes no connection."""
    with database.lazy_read() as session:
        assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        assert session() is session()
        assert database.engine.pool.checkedout() == 1  # type: ignore[attr-defined]
        with pytest.raises(InternalError, match="read-only"):
            touch(session(), "card", [1], at=datetime(2026, 1, 1, tzinfo=UTC))
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_no_connection_goes_back_that_commits_by_itself(database: Database) -> None:
    """Whatever broke the read, also what the driver knows nothing of."""
    with pytest.raises(UnicodeEncodeError):
        database.fetch_one("SELECT %(odd)s", {"odd": "\ud800"})
    with pytest.raises(RuntimeError), database.write_tx() as session:
        session.execute(text("CREATE TABLE half_done (id int)"))
        raise RuntimeError
    with database.read_tx() as session:
        assert session.execute(text("SELECT to_regclass('half_done')")).scalar() is None
