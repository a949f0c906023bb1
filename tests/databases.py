"""One migrated database for the tests of a process, and the connections that they share.

A connection knows nothing of the tables at first: with new ones each test paid thirty
milliseconds of processor time, most of them for reading the catalogue again and for compiling
the same statements again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import QueuePool

from walletsvc.app import event_handlers
from walletsvc.jobs import events
from walletsvc.storage.engine import Database

POOL_SIZE: Final = 16

_TABLES: Final = (
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
)


def empty(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Delete every row, the ledger's too, which refuses that otherwise.

    By a function of this connection, which keeps its plans: the next time is quick.
    """
    known = connection.execute("SELECT to_regproc('pg_temp.empty')").fetchone()
    if known == (None,):
        tables = [sql.Identifier(str(name)) for (name,) in connection.execute(_TABLES)]
        deletes = sql.SQL("").join(sql.SQL("DELETE FROM {};").format(table) for table in tables)
        connection.execute(
            sql.SQL(
                # Without foreign keys and triggers.
                "CREATE FUNCTION pg_temp.empty() RETURNS void LANGUAGE plpgsql"
                " SET session_replication_role = replica SET lock_timeout = '10s'"
                " AS $$ BEGIN {} END $$"
            ).format(deletes)
        )
    connection.execute("SELECT pg_temp.empty()")


class Shared(Database):
    """As any `Database`; what it closes are its own things, not the connections of them all.

    Listeners belong to it alone, as do the handlers of events.
    """

    def __init__(
        self,
        kept: KeptDatabase,
        *,
        on_commit: Callable[[str], None] = lambda _: None,
        carried: Mapping[str, Any] | None = None,
    ) -> None:
        """The handlers of the whole product, unless `carried` says which."""
        handlers = events.carried(event_handlers()) if carried is None else carried
        super().__init__(kept.url, on_commit=on_commit, carried=handlers)
        self.engine = kept.engine.execution_options()

    def close(self) -> None:
        while self._before_close:
            self._before_close.pop()()
        self.reader.close()


class KeptDatabase:
    """The database of a process, which its tests use in turn."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._admin = psycopg.connect(url, autocommit=True)
        self._own = Database(url, pool_size=POOL_SIZE)
        self._pids: set[int] = set()
        event.listen(self._own.engine, "connect", self._opened)

    @property
    def engine(self) -> Engine:
        return self._own.engine

    def _opened(self, connection: psycopg.Connection[tuple[object, ...]], _: object) -> None:
        self._pids.add(connection.info.backend_pid)

    def make_ready(self) -> None:
        """Leave no row, and nobody of a former test who could write one or hold a lock."""
        try:
            there = self._others()
        except psycopg.OperationalError:  # the former test ended all that there were
            self._admin.close()
            self._admin = psycopg.connect(self.url, autocommit=True)
            there = self._others()
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        if pool.checkedout() or not self._pids <= there:  # somebody kept one, or cut them off
            self.engine.dispose()
            self._pids.clear()
        for stranger in there - self._pids:
            self._admin.execute("SELECT pg_terminate_backend(%s)", [stranger])
        empty(self._admin)

    def _others(self) -> set[int]:
        """The processes of all other connections to this database."""
        rows = self._admin.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return {int(str(pid)) for (pid,) in rows}

    def close(self) -> None:
        self._own.close()
        self._admin.close()
