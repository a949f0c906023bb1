"""Transactions and their signals."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest
from sqlalchemy import QueuePool, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InternalError

from tests.storage.connections import cut
from walletsvc.jobs.changes import CHANGES, touch
from walletsvc.storage import engine
from walletsvc.storage.engine import Database, is_here


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


@pytest.mark.parametrize(
    ("host", "address", "here"),
    [
        (b"/data/postgres", b"", True),
        (b"@walletsvc", b"", True),
        (b"localhost", b"127.0.0.1", True),
        (b"localhost", b"::1", True),
        (b"db", b"127.0.0.2", True),
        (b"db", b"192.0.2.7", False),
        (b"", b"192.0.2.7", False),
        (b"localhost", b"2001:db8::7", False),
        (b"db", b"", False),
    ],
)
def test_what_is_on_this_machine(host: bytes, address: bytes, here: bool) -> None:
    """As libpq says what it has connected to, however it was told."""
    assert is_here(host, address) is here


def test_where_the_server_is(database: Database) -> None:
    """As the server itself says where it was reached: no address is a socket's."""
    with database.read_tx() as session:
        address = session.execute(text("SELECT host(inet_server_addr())")).scalar_one()
    assert database.is_beside() is (address is None or ip_address(address).is_loopback)


def test_an_idle_connection_is_kept_awake(database_url: str) -> None:
    """Unless the address says how."""
    with closing(Database(database_url)) as plain, plain.engine.connect() as connection:
        link: Any = connection.connection.driver_connection
        said = link.info.get_parameters()
    assert (said["keepalives_idle"], said["tcp_user_timeout"]) == ("60", "15000")
    more = make_url(database_url).update_query_dict({"keepalives_idle": "7"})
    address = more.render_as_string(hide_password=False)
    with closing(Database(address)) as own, own.engine.connect() as connection:
        link = connection.connection.driver_connection
        assert link.info.get_parameters()["keepalives_idle"] == "7"
