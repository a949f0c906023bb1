"""Statements of the busiest calls, handed to the driver without a detour.

Between a session and the driver lie compilation, an execution context and a result object, which
for a small row cost three times what the driver does. A `Statement` takes part in the session's
transaction all the same, tells the listeners of the engine, and fails with the errors of
SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

_DIALECT: Final = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
_CURSOR: Final = "walletsvc.cursor"


class Statement:
    """An SQL statement with parameters written `:name`, prepared once for each connection.

    Values are what the driver makes of the database's types: columns of enumerations come as
    text.
    """

    def __init__(self, sql: str) -> None:
        compiled = text(sql).compile(dialect=_DIALECT)
        self._sql: Final = str(compiled)
        self._parameters: Final = tuple(compiled.positiontup or ())

    def all(self, session: Session, values: Mapping[str, Any]) -> list[Any]:
        """The rows, as named tuples."""
        return self._executed(session, values).fetchall()

    def first(self, session: Session, values: Mapping[str, Any]) -> Any:
        """The first row, or None."""
        return self._executed(session, values).fetchone()

    def run(self, session: Session, values: Mapping[str, Any]) -> None:
        """Execute it for what it does."""
        self._executed(session, values)

    def _executed(self, session: Session, values: Mapping[str, Any]) -> psycopg.Cursor[Any]:
        if session.autoflush:
            session.flush()
        connection = session.connection()
        cursor = _cursor(connection)
        told = (connection, cursor, self._sql, values, None, False)
        for listener in connection.dispatch.before_cursor_execute:
            listener(*told)
        try:
            cursor.execute(self._sql, [values[name] for name in self._parameters], prepare=True)
        except psycopg.Error as error:
            gone = cursor.connection.broken or cursor.connection.closed
            if gone:
                connection.invalidate(error)
            raise DBAPIError.instance(
                self._sql, None, error, psycopg.Error, hide_parameters=True,
                connection_invalidated=gone, dialect=connection.dialect,
            ) from error  # fmt: skip
        for listener in connection.dispatch.after_cursor_execute:
            listener(*told)
        return cursor


def _cursor(connection: Connection) -> psycopg.Cursor[Any]:
    """The connection's one cursor for statements: the rows of each are fetched at once."""
    found: psycopg.Cursor[Any] | None = connection.info.get(_CURSOR)
    if found is None:
        driver: Any = connection.connection.driver_connection
        found = psycopg.RawCursor(driver, row_factory=namedtuple_row)
        connection.info[_CURSOR] = found
    return found
