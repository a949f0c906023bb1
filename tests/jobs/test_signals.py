"""Signals reach listeners after the commit, soon, and survive a lost connection."""

from __future__ import annotations

import time
from datetime import datetime

import psycopg

from walletsvc.jobs.changes import CHANGES, touch
from walletsvc.jobs.signals import Listener, Nudger, listening
from walletsvc.storage.engine import Database


def test_a_commit_wakes_a_listener(database_url: str, now: datetime) -> None:
    """Within a fraction of the sweep, so that it is the signal that woke it."""
    nudger = Nudger(database_url)
    database = Database(database_url, on_commit=nudger.nudge)
    with Listener(database.conninfo, CHANGES) as listener:
        assert listener.wait(5), "the first wait looks at what was there before"
        assert not listener.wait(0.05)
        started = time.monotonic()
        with database.write_tx() as session:
            touch(session, "card", [1], at=now)
        assert listener.wait(20)
        assert time.monotonic() - started < 10
    nudger.close()
    database.close()


def test_a_burst_is_folded(database_url: str) -> None:
    """A thousand commits do not mean a thousand signals."""
    nudger = Nudger(database_url)
    with Listener(database_url, CHANGES) as listener:
        listener.wait(5)
        for _ in range(1000):
            nudger.nudge(CHANGES)
        nudger.close()
        received = 0
        while listener.wait(0.1):
            received += 1
    assert 1 <= received < 1000


def test_purchase_after_purchase_is_folded_too(database_url: str) -> None:
    """Each signal is a commit of its own: ten a second do, and the first leaves at once."""
    nudger = Nudger(database_url)
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANGES}")
        nudger.nudge(CHANGES)
        assert list(listener.notifies(timeout=5, stop_after=1))
        started = time.monotonic()
        for _ in range(100):
            nudger.nudge(CHANGES)
            time.sleep(0.002)
        lasted = time.monotonic() - started
        nudger.close()
        received = list(listener.notifies(timeout=0.2))
    assert 1 <= len(received) <= lasted / 0.1 + 2


def test_a_signal_that_follows_another_is_sent_too(database_url: str) -> None:
    """Folded is what has not left yet; what comes right after it leaves a moment later."""
    nudger = Nudger(database_url)
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANGES}")
        for _ in range(5):
            nudger.nudge(CHANGES)
            assert list(listener.notifies(timeout=5, stop_after=1))
    nudger.close()


def test_a_lost_connection_is_made_anew(database_url: str) -> None:
    """The database restarts at night; nobody restarts the workers."""
    with Listener(database_url, CHANGES) as listener:
        assert listener.wait(5)
        _cut(database_url, CHANGES)
        while not listener.wait(0.2):
            pass  # the loss is noticed, then the new connection reports itself
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute(f"NOTIFY {CHANGES}")
        assert listener.wait(10)


def test_who_listens_is_known(database: Database) -> None:
    """`/readyz` asks whether anybody publishes and sends."""
    with Listener(database.conninfo, CHANGES) as listener:
        listener.wait(5)
        with database.read_tx() as session:
            assert CHANGES in listening(session)


def _cut(database_url: str, name: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            (name,),
        )
