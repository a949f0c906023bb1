"""Statements that go to the driver by the shortest way."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import (
    DataError,
    IntegrityError,
    InternalError,
    NotSupportedError,
    OperationalError,
)
from sqlmodel import Session

from tests.storage.connections import cut
from walletsvc.jobs.changes import touch
from walletsvc.merchants.models import Organisation
from walletsvc.storage.engine import Database
from walletsvc.storage.statement import Statement


@pytest.fixture
def alone(database_url: str) -> Iterator[Database]:
    """A database whose connections no other test has used."""
    database = Database(database_url)
    yield database
    database.close()


_BOTH = Statement("SELECT :number + 1 AS more, CAST(:word AS text) || '%' AS word, :number AS same")
_NOTE = Statement("INSERT INTO changes (topic, key, lane, at) VALUES ('card', :key, 0, :at)")


def test_rows_come_by_name(database: Database) -> None:
    """A parameter may stand twice, a percent sign and a colon of a cast are what they are."""
    with database.read_tx() as session:
        row = _BOTH.first(session, {"number": 2, "word": "x"})
        assert (row.more, row.word, row.same) == (3, "x%", 2)
        many = Statement("SELECT n::int AS n FROM generate_series(1, :most) AS n")
        assert [row.n for row in many.all(session, {"most": 3})] == [1, 2, 3]
        assert Statement("SELECT 1 WHERE :never = 1").first(session, {"never": 0}) is None


def test_it_belongs_to_the_transaction(database: Database, now: datetime) -> None:
    """What it wrote is seen by the rest of it, and gone when that is undone."""
    with pytest.raises(RuntimeError), database.write_tx() as session:
        touch(session, "card", [1], at=now)
        _NOTE.run(session, {"key": 2, "at": now})
        assert session.execute(text("SELECT count(*) FROM changes")).scalar_one() == 2
        raise RuntimeError
    with database.write_tx() as session:
        assert Statement("SELECT count(*) AS n FROM changes").first(session, {}).n == 0
        _NOTE.run(session, {"key": 3, "at": now})
    with database.read_tx() as session:
        assert session.execute(text("SELECT key FROM changes")).scalars().all() == [3]
    with pytest.raises(InternalError, match="read-only"), database.read_tx() as session:
        _NOTE.run(session, {"key": 4, "at": now})


def test_what_the_session_holds_back_is_written_first(database: Database, now: datetime) -> None:
    """As before any other statement, unless the session was told otherwise."""
    count = Statement("SELECT count(*) AS n FROM organisations")
    with database.write_tx() as session:
        session.add(Organisation(slug="a", name="A", created_at=now))
        with session.no_autoflush:
            assert count.first(session, {}).n == 0
        assert count.first(session, {}).n == 1


def test_whoever_listens_to_the_engine_hears_it(database: Database) -> None:
    """The tests that put statements of several transactions in an order rely on it."""
    heard: list[Any] = []

    def note(*arguments: Any) -> None:
        heard.append(arguments[2:4])

    event.listen(database.engine, "before_cursor_execute", note)
    with database.read_tx() as session:
        Statement("SELECT :n + 1 AS m").first(session, {"n": 1})
    event.remove(database.engine, "before_cursor_execute", note)
    assert heard == [("SELECT $1 + 1 AS m", {"n": 1})]


def test_it_fails_as_any_other_statement_does(database: Database, now: datetime) -> None:
    """With the error's kind; never with the values, which may be secrets."""
    twice = Statement("INSERT INTO idempotency_keys (scope, key, fingerprint, created_at)"
                      " VALUES ('s', :key, '', :at)")  # fmt: skip
    values = {"key": "secret", "at": now}
    with pytest.raises(IntegrityError) as caught, database.write_tx() as session:
        twice.run(session, values)
        twice.run(session, values)
    assert "secret" not in str(caught.value).split("DETAIL")[0]
    assert caught.value.params is None
    with database.write_tx() as session:
        twice.run(session, values)


_NUMBER = text("SELECT CAST(:n AS int)")


def _prepared_by_the_driver(session: Session) -> None:
    """Enough of one statement for the driver to prepare it: it then drops all at a ROLLBACK."""
    for number in range(8):
        session.execute(_NUMBER, {"n": number})


def _prepared(session: Session) -> int:
    found = session.execute(
        text("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'walletsvc%'")
    )
    return int(found.scalar_one())


def test_it_outlives_a_rollback(alone: Database) -> None:
    """The driver drops what is prepared at a ROLLBACK, of all or to a savepoint."""
    with pytest.raises(RuntimeError), alone.write_tx() as session:
        _prepared_by_the_driver(session)
        assert _BOTH.first(session, {"number": 1, "word": "x"}).more == 2
        raise RuntimeError
    with alone.write_tx() as session:
        assert _prepared(session) == 0
        assert _BOTH.first(session, {"number": 2, "word": "x"}).more == 3
        _prepared_by_the_driver(session)
        with pytest.raises(RuntimeError), session.begin_nested():
            raise RuntimeError
        assert _BOTH.first(session, {"number": 3, "word": "x"}).more == 4


def test_a_rollback_that_drops_nothing_leaves_no_second_one(alone: Database) -> None:
    """Else the server would keep one more after each."""
    for _ in range(3):
        with pytest.raises(RuntimeError), alone.write_tx() as session:
            _BOTH.first(session, {"number": 1, "word": "x"})
            raise RuntimeError
    with alone.write_tx() as session:
        _BOTH.first(session, {"number": 1, "word": "x"})
        assert _prepared(session) == 1


def test_one_for_numbers_of_any_size(alone: Database) -> None:
    """A plan for each combination of small and large numbers would be made again and again."""
    with alone.write_tx() as session:
        for number in (1, 2**15, 2**31, 2**62):
            assert _BOTH.first(session, {"number": number, "word": "x"}).same == number
        assert _prepared(session) == 1


def test_one_for_values_that_are_missing(alone: Database) -> None:
    """What a parameter's type is does not depend on whether it has a value."""
    three = Statement(
        "SELECT CAST(:a AS bigint) AS a, CAST(:b AS date) AS b, CAST(:c AS text) AS c"
    )
    whole = {"a": 1, "b": date(2026, 11, 29), "c": "x"}
    with alone.write_tx() as session:
        three.run(session, whole)
        for names in ("a", "b", "c", "ab", "bc", "abc"):
            given = {name: None if name in names else value for name, value in whole.items()}
            assert three.first(session, given)._asdict() == given
        assert _prepared(session) == 1


def test_a_table_that_was_changed_fails_one_call_only(alone: Database) -> None:
    """A process lives through a migration."""
    reading = Statement("SELECT x FROM migrated")
    with alone.write_tx() as session:
        session.execute(text("CREATE TABLE migrated (x varchar(10))"))
    with alone.read_tx() as session:
        reading.run(session, {})
    with psycopg.connect(alone.conninfo, autocommit=True) as other:
        other.execute("ALTER TABLE migrated ALTER x TYPE varchar(20)")
    with pytest.raises(NotSupportedError), alone.read_tx() as session:
        reading.run(session, {})
    with alone.read_tx() as session:
        reading.run(session, {})
    with alone.write_tx() as session:
        session.execute(text("DROP TABLE migrated"))


def test_an_interrupt_comes_through(alone: Database) -> None:
    """Ctrl-C is no failure of the database, and the connection is as good as before."""

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    sleeping = Statement("SELECT pg_sleep(CAST(:seconds AS float8))")
    with alone.read_tx() as session:
        sleeping.run(session, {"seconds": 0.0})
    before = signal.signal(signal.SIGALRM, press)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt), alone.read_tx() as session:
            sleeping.run(session, {"seconds": 20.0})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with alone.read_tx() as session:
        sleeping.run(session, {"seconds": 0.0})


def test_the_first_statement_opens_the_transaction(alone: Database) -> None:
    """Also where BEGIN goes along with it: in threads other than the main one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_opened, alone).result()
    _opened(alone)


@pytest.mark.parametrize("threads", [0, 1])
def test_a_savepoint_undoes_what_was_sent_within_it(
    database: Database, now: datetime, threads: int
) -> None:
    """Also where a statement is the first thing within it, and not the first of the transaction."""

    def work() -> None:
        with database.write_tx() as session:
            _NOTE.run(session, {"key": 1, "at": now})
            for key in (2, 4):
                attempt = session.begin_nested()
                _NOTE.run(session, {"key": key, "at": now})
                inner = session.begin_nested()
                touch(session, "card", [key + 1], at=now)
                inner.commit()
                attempt.rollback()
            with pytest.raises(IntegrityError), session.begin_nested():
                _NOTE.run(session, {"key": None, "at": now})
            touch(session, "card", [6], at=now)
        with database.read_tx() as session:
            kept = session.execute(text("SELECT key FROM changes ORDER BY key"))
            assert kept.scalars().all() == [1, 6]

    _in_threads(threads, work)


@pytest.mark.parametrize("threads", [0, 1])
def test_a_savepoint_that_cannot_be_released_is_undone(
    database: Database, now: datetime, threads: int
) -> None:
    """What waits may fail only then: whoever catches it goes on, as from any other failure."""

    def work() -> None:
        with database.write_tx() as session:
            touch(session, "card", [1], at=now)
            for _ in range(2):
                with pytest.raises(IntegrityError), session.begin_nested():
                    touch(session, "card", [2], at=now)
                    _NOTE.ask(session, {"key": None, "at": now})
            touch(session, "card", [3], at=now)
        with database.read_tx() as session:
            kept = session.execute(text("SELECT key FROM changes ORDER BY key"))
            assert kept.scalars().all() == [1, 3]

    _in_threads(threads, work)


@pytest.mark.parametrize("threads", [0, 1])
def test_a_failure_that_was_passed_over_is_not_committed(
    database: Database, now: datetime, threads: int
) -> None:
    """The server would undo it all and say nothing; the caller would say that it is done."""

    def work() -> None:
        with pytest.raises(InternalError, match="nothing of it"), database.write_tx() as session:
            touch(session, "card", [1], at=now)
            with pytest.raises(IntegrityError):
                _NOTE.run(session, {"key": None, "at": now})
        with database.write_tx() as session:
            assert not session.execute(text("SELECT key FROM changes")).all()

    _in_threads(threads, work)


def _in_threads(number: int, work: Callable[[], None]) -> None:
    """In a thread of its own, where statements go together, or in this one."""
    if not number:
        work()
        return
    with ThreadPoolExecutor(number) as pool:
        pool.submit(work).result()


def _opened(alone: Database) -> None:
    """A reader may not write, and what failed is over."""
    reading = Statement("SELECT current_setting('transaction_read_only') AS only")
    for _ in range(2):  # once prepared, BEGIN goes along with it
        with alone.read_tx() as session:
            assert reading.first(session, {}).only == "on"
            assert reading.first(session, {}).only == "on"
        with alone.write_tx() as session:
            assert reading.first(session, {}).only == "off"
    failing = Statement("SELECT 1 / CAST(:by AS int) AS quotient")
    with alone.write_tx() as session:
        assert failing.first(session, {"by": 1}).quotient == 1
    with pytest.raises(DataError), alone.write_tx() as session:
        failing.first(session, {"by": 0})
    with alone.write_tx() as session:
        assert failing.first(session, {"by": 1}).quotient == 1


def test_a_cut_connection_is_not_used_again(alone: Database) -> None:
    """The call that was cut off fails, and the next one gets another connection: also instead of
    those that lay in the pool, which were cut with it."""
    with alone.read_tx(), alone.read_tx() as session:
        Statement("SELECT 1").run(session, {})
    one = Statement("SELECT 1 AS one")
    with pytest.raises(RuntimeError), alone.write_tx() as session:
        one.first(session, {})
        cut(alone)
        with pytest.raises(OperationalError) as caught:
            one.first(session, {})
        assert caught.value.connection_invalidated
        assert session.connection().invalidated
        raise RuntimeError
    with alone.write_tx() as session:
        assert one.first(session, {}).one == 1
