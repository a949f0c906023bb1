"""Statements of the busiest calls, handed to the driver without a detour.

Between a session and the driver lie compilation, an execution context and a result object, which
for a small row cost three times what the driver does; half of what is left are the cursor and what
it keeps for statements that change. A `Statement` is sent by libpq itself (`psycopg.pq`), takes
part in the session's transaction all the same, tells the listeners of the engine, and fails with
the errors of SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlmodel import Session

from walletsvc.storage.prepared import Asked, Prepared, failed, prepared_of

_AT: Final = "walletsvc.at"
_DIALECT: Final = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class Answer:
    """What a statement that was asked will answer."""

    __slots__ = ("_asked", "_connection", "_prepared")

    def __init__(self, connection: Connection, prepared: Prepared, asked: Asked) -> None:
        self._connection: Final = connection
        self._prepared: Final = prepared
        self._asked: Final = asked

    def all(self) -> list[Any]:
        """The rows, as named tuples."""
        try:
            return self._prepared.rows(self._asked)
        except psycopg.Error as error:
            raise failed(self._connection, self._prepared, error) from error

    def first(self) -> Any:
        """The first row, or None."""
        rows = self.all()
        return rows[0] if rows else None


class Statement:
    """An SQL statement with parameters written `:name`, prepared once for each connection.

    Values are what the driver makes of the database's types: columns of enumerations come as
    text.
    """

    def __init__(self, sql: str) -> None:
        compiled = text(sql).compile(dialect=_DIALECT)
        self._sql: Final = str(compiled)
        self._parameters: Final = tuple(compiled.positiontup or ())

    def ask(self, session: Session, values: Mapping[str, Any]) -> Answer:
        """Have it executed with the next statement whose answer somebody waits for, or with the
        COMMIT: in the order in which they were asked, and one round trip for all.

        Its errors come from whatever sends it. What SQLAlchemy sends itself goes after it, a
        savepoint too: who passes over a failure within one must have asked for nothing before it.
        """
        if session.autoflush:
            session.flush()
        connection, prepared, before, after = _at(session)
        told = (connection, prepared.cursor, self._sql, values, None, False)
        for listener in before:
            listener(*told)
        try:
            asked = prepared.ask(self._sql, [values[name] for name in self._parameters])
        except psycopg.Error as error:
            raise failed(connection, prepared, error) from error
        for listener in after:
            listener(*told)
        return Answer(connection, prepared, asked)

    def all(self, session: Session, values: Mapping[str, Any]) -> list[Any]:
        """The rows, as named tuples."""
        return self.ask(session, values).all()

    def first(self, session: Session, values: Mapping[str, Any]) -> Any:
        """The first row, or None."""
        rows = self.all(session, values)
        return rows[0] if rows else None

    def run(self, session: Session, values: Mapping[str, Any]) -> None:
        """Execute it for what it does."""
        self.all(session, values)


class _At(NamedTuple):
    connection: Connection
    prepared: Prepared
    before: tuple[Callable[..., Any], ...]  # the listeners of the engine
    after: tuple[Callable[..., Any], ...]


def _at(session: Session) -> _At:
    """Where the session's transaction takes place. Asked each time, the session would take as long
    to say so as the driver takes to send the statement.

    It has to be asked in each savepoint: only then does it make it.
    """
    present = session.get_nested_transaction() or session.get_transaction()
    known: tuple[object, _At] | None = session.info.get(_AT)
    if present is not None and known is not None and known[0] is present and present.is_active:
        return known[1]
    connection = session.connection()
    told = connection.dispatch
    found = _At(
        connection,
        prepared_of(connection),
        tuple(told.before_cursor_execute),
        tuple(told.after_cursor_execute),
    )
    session.info[_AT] = session.get_nested_transaction() or session.get_transaction(), found
    return found
