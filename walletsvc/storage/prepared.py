"""What a connection keeps ready of the busiest statements, and how they are sent.

libpq is called through the driver's own wrapper (`psycopg.pq`), with its waiting and its adaptation
of values; left out is what a cursor does for statements that it may never see again. Statements
that need no answer at once go with the next one or with the COMMIT, in one round trip.
"""

from __future__ import annotations

import secrets
import threading
from collections import namedtuple
from collections.abc import Callable, Generator, Sequence
from functools import partial
from itertools import count
from typing import Any, Final

import orjson
import psycopg
from psycopg import IsolationLevel, generators, pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import (
    FeatureNotSupported,
    InFailedSqlTransaction,
    InvalidSqlStatementName,
    error_from_result,
)
from psycopg.types.json import set_json_loads
from psycopg.types.numeric import Int8Dumper
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, StatementError

_PREPARED: Final = "walletsvc.prepared"
_ALIVE: Final = b"SELECT name FROM pg_prepared_statements WHERE name LIKE 'walletsvc_%'"
_IDLE: Final = pq.TransactionStatus.IDLE
_BROKEN: Final = pq.TransactionStatus.INERROR
_DONE: Final = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
_Key = tuple[str, tuple[int, ...]]


class Asked:
    """A statement that is sent or will be, and then its answer."""

    __slots__ = ("formats", "name", "result", "sent", "sql")

    def __init__(
        self, sql: str, name: bytes, sent: Sequence[Any], formats: Sequence[pq.Format] | None
    ) -> None:
        self.sql: Final = sql
        self.name: Final = name
        self.sent: Final = sent
        self.formats: Final = formats
        self.result: pq.abc.PGresult | None = None


class Prepared:
    """The prepared statements of one connection of the driver."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection: Final = connection
        self.cursor: Final = connection.cursor()  # what listeners of the engine are shown
        # By its value a number would be one of three types, and a statement as many statements as
        # there are combinations.
        self.cursor.adapters.register_dumper(int, Int8Dumper)
        set_json_loads(orjson.loads, self.cursor)
        self.doubtful = False
        self.waiting: list[Asked] = []
        self.last = ""  # the statement that failed, after an error
        self._pgconn: Final = connection.pgconn
        self._transformer: Final = Transformer(self.cursor)
        self._names: dict[_Key, bytes] = {}
        self._makers: dict[bytes, Any] = {}  # of rows, by the statement's name
        self._types: dict[str, tuple[int, ...]] = {}
        # Behind a pooler that knows nothing of prepared statements a name of somebody else's is an
        # error, not another statement.
        self._mark: Final = secrets.token_hex(4).encode()
        self._numbers: Final = count(1)

    def ask(self, sql: str, values: Sequence[Any]) -> Asked:
        """Take a statement with parameters written `$1`, to be sent with the next one that is
        waited for. In the main thread it is sent at once.

        Raises psycopg.Error.
        """
        self.last = sql
        if self.doubtful:
            self._begin()
            self._forget_dropped()
        transformer = self._transformer
        sent = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
        types = transformer.types or ()
        name = self._names.get((sql, types)) or self._named(sql, types)
        asked = Asked(sql, name, sent, transformer.formats)
        self.waiting.append(asked)
        if _interruptible():
            self.send()
        return asked

    def rows(self, asked: Asked) -> list[Any]:
        """What a statement answers, as named tuples; sends what waits.

        Raises psycopg.Error.
        """
        if asked.result is None:
            self.send()
        result = asked.result
        if result is None:
            raise RuntimeError("The transaction that this was asked in is over.")
        if not result.ntuples:
            return []
        self._transformer.set_pgresult(result)
        make = self._makers.get(asked.name)
        if make is None:
            make = self._makers[asked.name] = _maker(result)
        return self._transformer.load_rows(0, result.ntuples, make)

    def send(self, *, commit: bool = False) -> None:
        """Send what waits, perhaps with the COMMIT after it; raises psycopg.Error."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        commands: list[Callable[[], None]] = []
        if not self._begun():
            # The transaction is opened on the way, without a round trip of its own.
            commands.append(partial(self._pgconn.send_query_params, self._opening(), None))
        first = len(commands)
        for each in waiting:
            self.last = each.sql
            commands.append(
                partial(self._pgconn.send_query_prepared, each.name, each.sent, each.formats)
            )
        if commit:
            commands.append(partial(self._pgconn.send_query_params, b"COMMIT", None))
        answers = self._alone(commands) if _interruptible() else self._pipelined(commands)
        for place, answer in enumerate(answers):
            if answer.status not in _DONE:
                self._failed(answer, waiting[min(max(place - first, 0), len(waiting) - 1)])
        for each, answer in zip(waiting, answers[first:], strict=False):
            each.result = answer

    def _failed(self, answer: pq.abc.PGresult, asked: Asked) -> None:
        self.last = asked.sql
        error = error_from_result(answer)
        if isinstance(error, InvalidSqlStatementName | FeatureNotSupported):
            # Dropped by somebody, or a table's columns are others by now: the next one is new.
            self._names.clear()
        raise error

    def _alone(self, commands: Sequence[Callable[[], None]]) -> list[pq.abc.PGresult]:
        """One after the other: interrupts come to the main thread, where nothing must be left half
        read."""
        answers: list[pq.abc.PGresult] = []
        for command in commands:
            command()
            answers.append(self._last_answer())
            if answers[-1].status not in _DONE:
                break
        return answers

    def _pipelined(self, commands: Sequence[Callable[[], None]]) -> list[pq.abc.PGresult]:
        if len(commands) == 1:
            return self._alone(commands)
        try:
            self._pgconn.enter_pipeline_mode()
            for command in commands:
                command()
            self._pgconn.pipeline_sync()
            answers = self.connection.wait(_results(self._pgconn, len(commands) + 1))
            self._pgconn.exit_pipeline_mode()
        except BaseException:
            self.connection.close()  # nobody can go on in the middle of a pipeline
            raise
        return answers[:-1]

    def _named(self, sql: str, types: tuple[int, ...]) -> bytes:
        """The statement for values of these types, prepared if need be. Those of None count as they
        were before: each combination would be another statement."""
        known = self._types.get(sql, types)
        self._types[sql] = kept = tuple(
            one or other for one, other in zip(types, known, strict=True)
        )
        name = self._names.get((sql, kept))
        if name is None:
            self._begin()
            name = self._prepare((sql, kept))
        self._names[sql, types] = name
        return name

    def _begun(self) -> bool:
        return self.connection.autocommit or self._pgconn.transaction_status != _IDLE

    def _begin(self) -> None:
        """Open the transaction that the driver would open with its first statement."""
        if not self._begun():
            self._call(self._opening())

    def _opening(self) -> bytes:
        words = ["BEGIN"]
        if (level := self.connection.isolation_level) is not None:
            words += ["ISOLATION LEVEL", IsolationLevel(level).name.replace("_", " ")]
        if (read_only := self.connection.read_only) is not None:
            words.append("READ ONLY" if read_only else "READ WRITE")
        if (deferrable := self.connection.deferrable) is not None:
            words.append("DEFERRABLE" if deferrable else "NOT DEFERRABLE")
        return " ".join(words).encode()

    def _prepare(self, key: _Key) -> bytes:
        sql, types = key
        name = b"walletsvc_%s_%d" % (self._mark, next(self._numbers))
        self._pgconn.send_prepare(name, sql.encode(), types)
        self._answer()
        self._names[key] = name
        return name

    def _forget_dropped(self) -> None:
        """With a ROLLBACK the driver drops whatever is prepared, also by others, unless it has
        prepared nothing itself."""
        result = self._call(_ALIVE)
        alive = {result.get_value(each, 0) for each in range(result.ntuples)}
        self._names = {key: name for key, name in self._names.items() if name in alive}
        self.doubtful = False

    def _call(self, command: bytes) -> pq.abc.PGresult:
        self._pgconn.send_query(command)
        return self._answer()

    def _answer(self) -> pq.abc.PGresult:
        result = self._last_answer()
        if result.status not in _DONE:
            raise error_from_result(result)
        return result

    def _last_answer(self) -> pq.abc.PGresult:
        results: list[pq.abc.PGresult] = self.connection.wait(generators.execute(self._pgconn))
        return results[-1]


def _interruptible() -> bool:
    return threading.current_thread() is threading.main_thread()


def _results(pgconn: pq.abc.PGconn, number: int) -> Generator[Any, Any, list[pq.abc.PGresult]]:
    """The last result of each of so many commands of a pipeline."""
    found = []
    for _ in range(number):
        results = yield from generators.execute(pgconn)
        found.append(results[-1])
    return found


def _maker(result: pq.abc.PGresult) -> Any:
    names = [(result.fname(each) or b"").decode() for each in range(result.nfields)]
    made: Any = namedtuple  # noqa: PYI024 - its columns are known when they come
    return made("Row", names, rename=True)._make


def prepared_of(connection: Connection) -> Prepared:
    """What the driver's connection behind this one keeps ready."""
    found: Prepared | None = connection.info.get(_PREPARED)
    if found is None:
        driver: Any = connection.connection.driver_connection
        found = connection.info[_PREPARED] = Prepared(driver)
    return found


def failed(connection: Connection, prepared: Prepared, error: psycopg.Error) -> StatementError:
    """The error of SQLAlchemy for one of the driver; forgets a connection that is gone."""
    gone = prepared.connection.broken or prepared.connection.closed
    if gone:
        connection.invalidate(error)
        connection.engine.dispose()  # those in the pool are of the same age
    return DBAPIError.instance(
        prepared.last, None, error, psycopg.Error, hide_parameters=True,
        connection_invalidated=gone, dialect=connection.dialect,
    )  # fmt: skip


def send_waiting(connection: Connection, *, commit: bool = False) -> None:
    """Send what was asked for on this connection and waits; raises DBAPIError."""
    found = _of(connection)
    if found is None or not found.waiting:
        return
    try:
        found.send(commit=commit)
    except psycopg.Error as error:
        raise failed(connection, found, error) from error


def _of(connection: Connection) -> Prepared | None:
    try:
        found: Prepared | None = connection.info.get(_PREPARED)
    except NotImplementedError:
        return None  # with this one SQLAlchemy looks at a server before it has a pool
    return found


def _require_unbroken(connection: Connection) -> None:
    """The server answers COMMIT with a ROLLBACK where a statement had failed, and calls it done:
    whoever passed over the failure would take for written what is not."""
    found = _of(connection)
    driver = found.connection if found else None
    if found and driver and not driver.read_only and driver.pgconn.transaction_status == _BROKEN:
        error = InFailedSqlTransaction("a statement failed: nothing of it can be committed")
        raise failed(connection, found, error)


def watch(engine: Engine) -> None:
    """Keep the connections of this engine in order: what waits goes before anything that SQLAlchemy
    sends itself and with a COMMIT, never after a ROLLBACK; of each ROLLBACK they learn."""

    def executed(_cursor: object, _sql: object, *rest: Any) -> None:
        send_waiting(rest[-1].root_connection)

    def committed(connection: Connection) -> None:
        send_waiting(connection, commit=True)  # the driver finds nothing left to commit
        _require_unbroken(connection)

    def released(connection: Connection, name: str, _context: object) -> None:
        try:
            send_waiting(connection)
        except DBAPIError:
            # A savepoint that cannot be released is over for SQLAlchemy, which would leave the
            # transaction to fail as a whole.
            if not connection.invalidated:
                connection.dialect.do_rollback_to_savepoint(connection, name)
                rolled_back(connection)
            raise

    def rolled_back(connection: Connection, *_: object) -> None:
        _undone(None if connection.invalidated else connection.info.get(_PREPARED))

    def reset(_connection: object, record: Any, _state: object) -> None:
        found: Prepared | None = record.info.get(_PREPARED) if record else None
        if found and (found.waiting or found.connection.info.transaction_status != _IDLE):
            _undone(found)

    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        event.listen(engine, name, executed)
    event.listen(engine, "commit", committed)
    event.listen(engine, "release_savepoint", released)
    event.listen(engine, "rollback", rolled_back)
    event.listen(engine, "rollback_savepoint", rolled_back)
    event.listen(engine, "reset", reset)


def _undone(found: Prepared | None) -> None:
    if found:
        found.doubtful = True
        found.waiting.clear()
