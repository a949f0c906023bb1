"""One row, by the shortest way to it: for the statements that a request consists of.

A session, the pool and a cursor walk through so much code that for one small row they cost
five times the row. Here a connection that only reads is kept with its statements prepared, the
row comes as one JSON value, and libpq is called directly (`psycopg.pq`).
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import count
from typing import Any, Final

import orjson
import psycopg
from psycopg import pq
from sqlalchemy import BigInteger, DateTime, Integer, LargeBinary, Select, String
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.types import TypeDecorator, TypeEngine

from walletsvc.core.errors import Unavailable

# A row reads nothing that it could change, and says its times in one zone.
_OPTIONS: Final = "-c timezone=UTC -c default_transaction_read_only=on"
_KEPT: Final = 4  # connections that wait for the next request
_NUMBERS: Final = count(1)


class OneRow:
    """A SELECT of at most one row, with parameters of text or whole numbers.

    Values come as they are stored, encrypted ones included: whole numbers, text, bytes, moments
    in UTC. Raises TypeError, when it is made, for a column of another type.
    """

    def __init__(self, select: Select[*tuple[Any, ...]]) -> None:
        dialect = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        compiled = select.compile(dialect=dialect)
        self.sql = f"SELECT row_to_json(found) FROM ({compiled}) AS found".encode()  # noqa: S608
        self.name = b"one_row_%d" % next(_NUMBERS)
        self.parameters: tuple[str, ...] = tuple(compiled.positiontup or ())
        columns = [(str(column.key), column.type) for column in select.selected_columns]
        self._make: Callable[[Any], Any] = _row_type([key for key, _ in columns])._make
        readers = ((key, _reader(key, kind)) for key, kind in columns)
        self._readers = [(key, read) for key, read in readers if read is not None]

    def row(self, packed: bytes) -> Any:
        """The row by its columns' names."""
        values = orjson.loads(packed)
        for key, read in self._readers:
            value = values[key]
            if value is not None:
                values[key] = read(value)
        return self._make(values.values())


def _row_type(names: list[str]) -> Any:
    return namedtuple("Row", names)  # noqa: PYI024 - not known beforehand


def _reader(key: str, kind: TypeEngine[Any]) -> Callable[[str], Any] | None:
    """What makes a column's value of its JSON form; None where that is the value."""
    if isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    match kind:
        case DateTime():
            return datetime.fromisoformat
        case LargeBinary():
            return _bytes
        case BigInteger() | Integer() | String():
            return None
        case _:
            raise TypeError(f"{key}: a column of type {kind} is not read here")


def _bytes(written: str) -> bytes:
    return bytes.fromhex(written[2:])  # after \x


class Reader:
    """Connections of one database that only read; safe to share between threads."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        # The one used last is taken first: as few stay open as are needed at once.
        self._free: list[_Connection] = []

    def one(self, statement: OneRow, values: Mapping[str, str | int]) -> Any:
        """The row, or None; raises Unavailable when the database does not answer."""
        given = [str(values[name]).encode() for name in statement.parameters]
        if any(b"\0" in value for value in given):
            return None  # libpq would look for what stands before it; no stored text holds one
        try:
            return self._one(statement, given)
        except psycopg.OperationalError:
            self.close()  # cut while it waited, so the others were too; reading again harms nobody
        try:
            return self._one(statement, given)
        except psycopg.OperationalError as error:
            raise Unavailable("The database does not answer; try again shortly.") from error

    def _one(self, statement: OneRow, given: list[bytes]) -> Any:
        try:
            connection = self._free.pop()
        except IndexError:
            connection = _Connection(self._conninfo)
        try:
            packed = connection.one(statement, given)
        except BaseException:
            connection.close()
            raise
        if len(self._free) < _KEPT:
            self._free.append(connection)
        else:
            connection.close()
        return statement.row(packed) if packed is not None else None

    def close(self) -> None:
        """Close the connections that nobody uses just now."""
        while self._free:
            try:
                self._free.pop().close()
            except IndexError:  # another thread was quicker
                return


class _Connection:
    """A connection and the statements that it knows."""

    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(
            conninfo, autocommit=True, connect_timeout=5, options=_OPTIONS
        )
        self._pg = self._connection.pgconn
        self._known: set[bytes] = set()

    def one(self, statement: OneRow, given: list[bytes]) -> bytes | None:
        if statement.name not in self._known:
            self._check(self._pg.prepare(statement.name, statement.sql), pq.ExecStatus.COMMAND_OK)
            self._known.add(statement.name)
        result = self._pg.exec_prepared(statement.name, given)
        self._check(result, pq.ExecStatus.TUPLES_OK)
        return result.get_value(0, 0) if result.ntuples else None

    def _check(self, result: pq.abc.PGresult, wanted: pq.ExecStatus) -> None:
        if result.status == wanted:
            return
        if self._pg.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError(self._pg.get_error_message())
        raise psycopg.errors.error_from_result(result)

    def close(self) -> None:
        self._connection.close()
