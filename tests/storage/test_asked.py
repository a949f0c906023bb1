"""Statements that are asked for and go with the next one: in threads, as where requests are served.

In a process's main thread nothing waits; what the other tests of this folder say holds there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.pool import QueuePool

from bench.trips import round_trips
from tests.storage.connections import cut
from walletsvc.merchants.models import Organisation
from walletsvc.storage.engine import Database
from walletsvc.storage.statement import Statement

T = TypeVar("T")
_NOTE = Statement("INSERT INTO changes (topic, key, lane, at) VALUES ('card', :key, 0, :at)")
_COUNT = Statement("SELECT count(*) AS n FROM changes")
_ALONE = Statement("INSERT INTO idempotency_keys (scope, key, fingerprint, created_at)"
                   " VALUES ('s', :key, '', :at)")  # fmt: skip


def in_thread(work: Callable[[], T]) -> T:
    """Do it outside of the main thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@pytest.fixture
def alone(database_url: str) -> Iterator[Database]:
    """A database whose connections no other test has used."""
    database = Database(database_url)
    yield database
    database.close()


def keys(database: Database) -> list[int]:
    """What was noted, as committed."""
    with database.read_tx() as session:
        found = session.execute(text("SELECT key FROM changes ORDER BY id")).scalars()
        return list(found)


def test_all_go_with_the_first_answer(alone: Database, now: datetime) -> None:
    """BEGIN too, in the order in which they were asked; and an answer may be read later."""

    def work() -> None:
        with alone.write_tx() as session:  # whose statements are prepared
            _NOTE.run(session, {"key": 0, "at": now})
            _COUNT.first(session, {})
        with round_trips() as trips, alone.write_tx() as session:
            before = _COUNT.ask(session, {})
            for key in (1, 2):
                _NOTE.ask(session, {"key": key, "at": now})
            assert _COUNT.first(session, {}).n == 3
            assert len(trips) == 1
            assert before.first().n == 1
            assert len(trips) == 1

    in_thread(work)
    assert keys(alone) == [0, 1, 2]


def test_the_commit_takes_along_what_nobody_waited_for(alone: Database, now: datetime) -> None:
    """One round trip for both: to the driver there is nothing left to commit."""

    def work() -> list[int]:
        found = []
        for key in (1, 2):
            with round_trips() as trips, alone.write_tx() as session:
                _COUNT.first(session, {})
                trips.clear()
                _NOTE.ask(session, {"key": key, "at": now})
            found.append(len(trips))
        return found

    assert in_thread(work) == [2, 1], "the first time it has to be prepared"
    assert keys(alone) == [1, 2]


def test_an_error_at_the_commit_undoes_everything(alone: Database, now: datetime) -> None:
    """It has its kind and names its statement; the connection is as good as new."""

    def work() -> str:
        values = {"key": "secret", "at": now}
        with pytest.raises(IntegrityError) as caught, alone.write_tx() as session:
            _NOTE.ask(session, {"key": 1, "at": now})
            for _ in range(2):
                _ALONE.ask(session, values)
            _NOTE.ask(session, {"key": 2, "at": now})
        with alone.write_tx() as session:
            _ALONE.ask(session, values)
        assert isinstance(alone.engine.pool, QueuePool)
        assert alone.engine.pool.checkedin() == 1
        return str(caught.value)

    said = in_thread(work)
    assert "idempotency_keys" in said
    assert "secret" not in said.split("DETAIL")[0]
    assert keys(alone) == []


def test_whoever_waits_next_gets_the_error(alone: Database, now: datetime) -> None:
    """And nothing that was asked afterwards is done."""

    def work() -> None:
        with alone.write_tx() as session:
            _ALONE.run(session, {"key": "k", "at": now})
        with pytest.raises(IntegrityError, match="idempotency_keys"), alone.write_tx() as session:
            _ALONE.ask(session, {"key": "k", "at": now})
            _COUNT.first(session, {})

    in_thread(work)


@pytest.mark.parametrize("how", ["text", "orm", "flush"])
def test_what_sqlalchemy_sends_comes_after_it(alone: Database, now: datetime, how: str) -> None:
    """Whether it reads, looks for an object or writes one that was waiting itself."""

    def work() -> None:
        with alone.write_tx() as session:
            organisation = Organisation(slug="a", name="A", created_at=now)
            session.add(organisation)
            session.flush()
            rename = Statement("UPDATE organisations SET name = 'B' WHERE slug = 'a'")
            rename.ask(session, {})
            if how == "text":
                found = session.execute(text("SELECT name FROM organisations")).scalar_one()
            elif how == "orm":
                found = session.get_one(Organisation, organisation.id, populate_existing=True).name
            else:
                organisation.name = "C"
                session.flush()
                found = session.execute(text("SELECT name FROM organisations")).scalar_one()
            assert found == ("C" if how == "flush" else "B")

    in_thread(work)


def test_a_savepoint_undoes_what_was_asked_within(alone: Database, now: datetime) -> None:
    """And nothing of what was asked before it."""

    class Undone(Exception):
        pass

    def work() -> None:
        with alone.write_tx() as session:
            _NOTE.ask(session, {"key": 1, "at": now})
            with pytest.raises(Undone), session.begin_nested():
                _NOTE.ask(session, {"key": 2, "at": now})
                raise Undone
            with session.begin_nested():
                _NOTE.ask(session, {"key": 3, "at": now})
            _NOTE.ask(session, {"key": 4, "at": now})

    in_thread(work)
    assert keys(alone) == [1, 3, 4]


def test_nothing_is_left_of_what_is_rolled_back(alone: Database, now: datetime) -> None:
    """Neither for the next transaction of the connection nor for who still holds the answer."""

    class Undone(Exception):
        pass

    def work() -> None:
        with pytest.raises(Undone), alone.write_tx() as session:
            _COUNT.first(session, {})
            _NOTE.ask(session, {"key": 1, "at": now})
            answer = _COUNT.ask(session, {})
            raise Undone
        with alone.write_tx() as session:
            assert _COUNT.first(session, {}).n == 0
        with pytest.raises(RuntimeError, match="over"):
            answer.first()

    in_thread(work)
    assert keys(alone) == []


def test_a_connection_that_is_cut_loses_what_waited(alone: Database, now: datetime) -> None:
    """The transaction fails as a whole, and the next one has another connection."""

    def work() -> None:
        with pytest.raises(OperationalError), alone.write_tx() as session:
            _COUNT.first(session, {})
            _NOTE.ask(session, {"key": 1, "at": now})
            cut(alone)
        with alone.write_tx() as session:
            _NOTE.ask(session, {"key": 2, "at": now})

    in_thread(work)
    assert keys(alone) == [2]


def test_in_the_main_thread_nothing_waits(alone: Database, now: datetime) -> None:
    """An interrupt must find no answers that are half read."""

    values = {"key": "k", "at": now}
    with alone.write_tx() as session:
        with session.begin_nested():
            _ALONE.ask(session, values)
        with pytest.raises(IntegrityError), session.begin_nested():
            _ALONE.ask(session, values)
            pytest.fail("the second was not sent")
