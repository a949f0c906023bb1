"""What a connection keeps ready of the busiest statements, and how they are sent.

libpq is called through the driver's own wrapper (`psycopg.pq`), with its waiting and its adaptation
of values; left out is what a cursor does for statements that it may never see again.
"""

from __future__ import annotations

import secrets
import threading
from collections import namedtuple
from collections.abc import Sequence
from itertools import count
from typing import Any, Final

import orjson
import psycopg
from psycopg import IsolationLevel, generators, pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import FeatureNotSupported, InvalidSqlStatementName, error_from_result
from psycopg.types.json import set_json_loads
from psycopg.types.numeric import Int8Dumper
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

_PREPARED: Final = "walletsvc.prepared"
_ALIVE: Final = b"SELECT name FROM pg_prepared_statements WHERE name LIKE 'walletsvc_%'"
_IDLE: Final = pq.TransactionStatus.IDLE
_DONE: Final = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
_Key = tuple[str, tuple[int, ...]]


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
        self._pgconn: Final = connection.pgconn
        self._transformer: Final = Transformer(self.cursor)
        self._names: dict[_Key, bytes] = {}
        self._makers: dict[bytes, Any] = {}  # of rows, by the statement's name
        self._types: dict[str, tuple[int, ...]] = {}
        # Behind a pooler that knows nothing of prepared statements a name of somebody else's is an
        # error, not another statement.
        self._mark: Final = secrets.token_hex(4).encode()
        self._numbers: Final = count(1)

    def rows(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """Execute a statement with parameters written `$1`; its rows as named tuples.

        Raises psycopg.Error.
        """
        begun = self.connection.autocommit or self._pgconn.transaction_status != _IDLE
        if self.doubtful:
            begun = begun or self._begin()
            self._forget_dropped()
        transformer = self._transformer
        sent = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
        key = sql, self._types_of(sql, transformer.types or ())
        name = self._names.get(key)
        if name is None:
            begun = begun or self._begin()
            name = self._prepare(key)
        try:
            result = self._executed(begun, name, sent, transformer.formats)
        except (InvalidSqlStatementName, FeatureNotSupported):
            # Dropped by somebody, or a table's columns are others by now: the next one is new.
            self._names.clear()
            raise
        if not result.ntuples:
            return []
        transformer.set_pgresult(result)
        make = self._makers.get(name)
        if make is None:
            make = self._makers[name] = _maker(result)
        return transformer.load_rows(0, result.ntuples, make)

    def _executed(
        self, begun: bool, name: bytes, sent: Sequence[Any], formats: Sequence[pq.Format] | None
    ) -> pq.abc.PGresult:
        # Interrupts come to the main thread, where nothing must be left half read.
        if not begun and threading.current_thread() is threading.main_thread():
            begun = self._begin()
        if begun:
            self._pgconn.send_query_prepared(name, sent, formats)
            return self._answer()
        # The transaction is opened on the way, without a round trip of its own.
        try:
            self._pgconn.enter_pipeline_mode()
            self._pgconn.send_query_params(self._opening(), None)
            self._pgconn.send_query_prepared(name, sent, formats)
            self._pgconn.pipeline_sync()
            answers = [self.connection.wait(generators.execute(self._pgconn))[-1] for _ in range(3)]
            self._pgconn.exit_pipeline_mode()
        except BaseException:
            self.connection.close()  # nobody can go on in the middle of a pipeline
            raise
        _check(answers[0])
        return _check(answers[1])

    def _types_of(self, sql: str, types: tuple[int, ...]) -> tuple[int, ...]:
        """The types of the values, those of None as they were before: it would make another
        statement of each combination."""
        known = self._types.get(sql)
        if known is not None and known != types:
            types = tuple(one or other for one, other in zip(types, known, strict=True))
        self._types[sql] = types
        return types

    def _begin(self) -> bool:
        """Open the transaction that the driver would open with its first statement."""
        self._call(self._opening())
        return True

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
        return _check(self.connection.wait(generators.execute(self._pgconn))[-1])


def _check(result: pq.abc.PGresult) -> pq.abc.PGresult:
    if result.status not in _DONE:
        raise error_from_result(result)
    return result


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


def watch(engine: Engine) -> None:
    """Learn of every ROLLBACK on the connections of this engine."""

    def rolled_back(connection: Connection, *_: object) -> None:
        found = None if connection.invalidated else connection.info.get(_PREPARED)
        if found:
            found.doubtful = True

    def reset(_connection: object, record: Any, _state: object) -> None:
        found: Prepared | None = record.info.get(_PREPARED) if record else None
        if found and found.connection.info.transaction_status != _IDLE:
            found.doubtful = True

    event.listen(engine, "rollback", rolled_back)
    event.listen(engine, "rollback_savepoint", rolled_back)
    event.listen(engine, "reset", reset)
