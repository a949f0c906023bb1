"""Transactions and their signals."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError

from walletsvc.jobs.changes import CHANGES, touch
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
