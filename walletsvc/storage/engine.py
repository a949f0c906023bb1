"""The database of a process: its pool, and the two ways to open a transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import orjson
import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, OperationalError
from sqlmodel import Session

from walletsvc.core.errors import ConfigurationError, Unavailable

POOL_OVERFLOW: Final = 4  # connections beyond the pool's size, for a moment
_SIGNALS: Final = "walletsvc.signals"

# A pooled connection that lay idle for longer is asked whether it still lives before it is used.
# Asking each time costs a round trip per transaction, which under load is a third of a short one.
_TRUSTED_SECONDS: Final = 1.0
_RETURNED_AT: Final = "walletsvc.returned_at"


def driver_url(url: str) -> str:
    """The SQLAlchemy address for a PostgreSQL URL as people write it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError(
            "WALLETSVC_DATABASE_URL is not an address; write postgresql://user:password@host/name."
        ) from error
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigurationError(
            f"WALLETSVC_DATABASE_URL names {parsed.get_backend_name()}; walletsvc needs PostgreSQL."
        )
    return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def plain_url(url: str) -> str:
    """The same address for psycopg itself; raises ConfigurationError when it is not one."""
    return driver_url(url).replace("postgresql+psycopg://", "postgresql://", 1)


class Database:
    """A pool of connections to one PostgreSQL database."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        on_commit: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_commit` is called with each signal name that a committed transaction raised."""
        self.url = driver_url(url)
        self._on_commit = on_commit
        self._before_close: list[Callable[[], None]] = []
        self.engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=POOL_OVERFLOW,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            connect_args={"connect_timeout": 5, "options": "-c timezone=UTC"},
        )
        _check_idle_connections(self.engine)

    @property
    def conninfo(self) -> str:
        """The address for psycopg itself."""
        return plain_url(self.url)

    @contextmanager
    def write_tx(self) -> Iterator[Session]:
        """One transaction: commits when the block ends, rolls back when it raises.

        Signals raised with `signal` are passed on once the commit has succeeded.
        """
        with Session(self.engine, expire_on_commit=False) as session:
            with session.begin():
                yield session
            for name in session.info.pop(_SIGNALS, ()):
                self._on_commit(name)

    @contextmanager
    def read_tx(self) -> Iterator[Session]:
        """One read-only transaction."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            # Said with the BEGIN itself, so that it costs no statement of its own.
            session.connection(execution_options={"postgresql_readonly": True})
            yield session

    @contextmanager
    def lazy_read(self) -> Iterator[Callable[[], Session]]:
        """A read-only transaction that begins when its session is first asked for."""
        with ExitStack() as stack:
            opened: list[Session] = []

            def session() -> Session:
                if not opened:
                    opened.append(stack.enter_context(self.read_tx()))
                return opened[0]

            yield session

    def fetch_one(self, statement: str, parameters: Mapping[str, Any]) -> Any:
        """The only row of one SELECT, by column names, or None: straight through the driver.

        For the few statements that a request consists of: without session and transaction it
        takes a third of the time. Parameters are psycopg's (`%(name)s`); values come as they
        are stored, encrypted ones included. Raises Unavailable when the database does not answer.
        """
        try:
            return self._fetch_one(statement, parameters)
        except psycopg.OperationalError:
            pass  # a connection that was cut while it was trusted: the statement only reads
        try:
            return self._fetch_one(statement, parameters)
        except psycopg.OperationalError as error:
            raise Unavailable("The database does not answer; try again shortly.") from error

    def _fetch_one(self, statement: str, parameters: Mapping[str, Any]) -> Any:
        pooled = self.engine.raw_connection()
        driver: psycopg.Connection[Any] = pooled.driver_connection  # type: ignore[assignment]
        try:
            driver.autocommit = True
            row = (
                driver.cursor(row_factory=namedtuple_row).execute(statement, parameters).fetchone()
            )
            driver.autocommit = False
        except BaseException as error:
            # Whatever it was: no connection goes back that would commit each statement by itself.
            pooled.invalidate(error)
            raise
        finally:
            pooled.close()
        return row

    def ping(self) -> None:
        """Raise Unavailable with a plain reason when the database does not answer."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0] if error.orig else "no answer"
            raise Unavailable(f"The database does not answer: {reason}") from error

    def before_close(self, callback: Callable[[], None]) -> None:
        """Have this called while the database can still be written to."""
        self._before_close.append(callback)

    def close(self) -> None:
        """Let those write who keep something back, then close all pooled connections."""
        while self._before_close:
            self._before_close.pop()()
        self.engine.dispose()


def _check_idle_connections(engine: Engine) -> None:
    """Replace a pooled connection that died while it lay idle, before somebody gets it."""

    def checked_in(_connection: object, record: Any) -> None:
        record.info[_RETURNED_AT] = time.monotonic()

    def checked_out(connection: Any, record: Any, _proxy: object) -> None:
        idle = time.monotonic() - record.info.get(_RETURNED_AT, float("inf"))
        if _RETURNED_AT not in record.info or idle < _TRUSTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise DisconnectionError from error  # the pool connects anew

    event.listen(engine, "checkin", checked_in)
    event.listen(engine, "checkout", checked_out)


def signal(session: Session, name: str) -> None:
    """Raise a signal after this transaction commits; once per name, however often asked."""
    session.info.setdefault(_SIGNALS, set()).add(name)
