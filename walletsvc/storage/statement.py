"""Statements of the busiest calls, handed to the driver without a detour.

Between a session and the driver lie compilation, an execution context and a result object, which
for a small row cost four times what the driver does. A `Statement` takes part in the session's
transaction all the same, tells the listeners of the engine, and fails with the errors of
SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

_DIALECT: Final = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class Statement:
    """An SQL statement with parameters written `:name`, prepared once for each connection.

    Values are what the driver makes of the database's types: columns of enumerations come as
    text.
    """

    def __init__(self, sql: str) -> None:
        self._sql: Final = str(text(sql).compile(dialect=_DIALECT))

    def all(self, session: Session, values: Mapping[str, Any]) -> list[Any]:
        """The rows, as named tuples."""
        return self.run(session, values).fetchall()

    def first(self, session: Session, values: Mapping[str, Any]) -> Any:
        """The first row, or None."""
        return self.run(session, values).fetchone()

    def run(self, session: Session, values: Mapping[str, Any]) -> psycopg.Cursor[Any]:
        """Execute it; the cursor has the rows, if it returns any."""
        if session.autoflush:
            session.flush()
        connection = session.connection()
        driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
        cursor = driver.cursor(row_factory=namedtuple_row)
        told = (connection, cursor, self._sql, values, None, False)
        for listener in connection.dispatch.before_cursor_execute:
            listener(*told)
        try:
            cursor.execute(self._sql, values, prepare=True)
        except psycopg.Error as error:
            gone = connection.dialect.is_disconnect(error, connection.connection, None)
            if gone:
                connection.invalidate(error)
            raise DBAPIError.instance(
                self._sql, None, error, psycopg.Error, hide_parameters=True,
                connection_invalidated=gone, dialect=connection.dialect,
            ) from error  # fmt: skip
        for listener in connection.dispatch.after_cursor_execute:
            listener(*told)
        return cursor
