"""Transactions and their signals."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import QueuePool, text
from sqlalchemy.exc import InternalError

from tests.storage.connections import cut
from walletsvc.jobs.changes import CHANGES, touch
from walletsvc.storage import engine
from walletsvc.storage.engine import Database


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


def test_a_connection_that_died_while_idle_is_replaced(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gets a connection after a pause gets one that lives."""
    monkeypatch.setattr(engine, "_TRUSTED_SECONDS", 0.0)
    for _ in range(3):
        with database.write_tx() as session:
            session.execute(text("SELECT 1"))
        cut(database)


def _taken(database: Database) -> int:
    """How many connections somebody has."""
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


def test_a_lazy_transaction_begins_when_it_is_asked_for(database: Database) -> None:
    """And only once; unasked it takes no connection."""
    with database.lazy_read() as session:
        assert _taken(database) == 0
        assert session() is session()
        assert _taken(database) == 1
        with pytest.raises(InternalError, match="read-only"):
            touch(session(), "card", [1], at=datetime(2026, 1, 1, tzinfo=UTC))
    assert _taken(database) == 0
