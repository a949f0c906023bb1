"""Statements of the busiest calls, handed to the driver without a detour.

Between a session and the driver lie compilation, an execution context and a result object, which
for a small row cost three times what the driver does; half of what is left are the cursor and what
it keeps for statements that change. A `Statement` is sent by libpq itself (`psycopg.pq`), takes
part in the session's transaction all the same, tells the listeners of the engine, and fails with
the errors of SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import psycopg
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from walletsvc.storage.prepared import prepared_of

_DIALECT: Final = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


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
        if session.autoflush:
            session.flush()
        connection = session.connection()
        prepared = prepared_of(connection)
        told = (connection, prepared.cursor, self._sql, values, None, False)
        for listener in connection.dispatch.before_cursor_execute:
            listener(*told)
        try:
            rows = prepared.rows(self._sql, [values[name] for name in self._parameters])
        except psycopg.Error as error:
            gone = prepared.connection.broken or prepared.connection.closed
            if gone:
                connection.invalidate(error)
                connection.engine.dispose()  # those in the pool are of the same age
            raise DBAPIError.instance(
                self._sql, None, error, psycopg.Error, hide_parameters=True,
                connection_invalidated=gone, dialect=connection.dialect,
            ) from error  # fmt: skip
        for listener in connection.dispatch.after_cursor_execute:
            listener(*told)
        return rows

    def first(self, session: Session, values: Mapping[str, Any]) -> Any:
        """The first row, or None."""
        rows = self.all(session, values)
        return rows[0] if rows else None

    def run(self, session: Session, values: Mapping[str, Any]) -> None:
        """Execute it for what it does."""
        self.all(session, values)
