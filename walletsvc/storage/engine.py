"""The database of a process: its pool, and the two ways to open a transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import Any, Final

import orjson
import psycopg
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, OperationalError
from sqlmodel import Session

from walletsvc.core.errors import ConfigurationError, Unavailable
from walletsvc.storage import prepared
from walletsvc.storage.reader import Reader

POOL_OVERFLOW: Final = 4  # connections beyond the pool's size, for a moment
_SIGNALS: Final = "walletsvc.signals"

# A pooled connection that lay idle for longer is asked whether it still lives before it is used.
# Asking each time costs a round trip per transaction, which under load is a third of a short one.
_TRUSTED_SECONDS: Final = 1.0
_RETURNED_AT: Final = "walletsvc.returned_at"

# A firewall on the way forgets a connection that is idle without a word: it is kept awake, and one
# that is gone all the same is given up soon instead of after a quarter of an hour.
_LINK: Final = {"keepalives_idle": 60, "tcp_user_timeout": 15_000}  # seconds, milliseconds


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


def is_here(host: bytes, address: bytes) -> bool:
    """Whether what libpq has connected to is on this machine: a socket's folder or abstract name
    as the host, or the address of the loopback interface."""
    return host[:1] in (b"/", b"@") or (bool(address) and ip_address(address.decode()).is_loopback)


class Database:
    """A pool of connections to one PostgreSQL database."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        on_commit: Callable[[str], None] = lambda _: None,
        carried: Mapping[str, Any] | None = None,
    ) -> None:
        """`on_commit` is called with each signal name that a committed transaction raised.

        `carried` is what every session that may write has in its `info`.
        """
        self.url = driver_url(url)
        self._carried = dict(carried or {})
        self._on_commit = on_commit
        self._before_close: list[Callable[[], None]] = []
        self.engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=POOL_OVERFLOW,
            pool_use_lifo=True,  # the server's process for it has its caches warm
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            connect_args={
                **{name: value for name, value in _LINK.items() if name not in make_url(url).query},
                "connect_timeout": 5,
                "options": "-c timezone=UTC",
            },
        )
        _check_idle_connections(self.engine)
        prepared.watch(self.engine)
        self.reader = Reader(self.conninfo)

    @property
    def conninfo(self) -> str:
        """The address for psycopg itself."""
        return plain_url(self.url)

    def is_beside(self) -> bool:
        """Whether the server is on this machine, by its address, which may be that of a proxy.

        Raises OperationalError when it does not answer.
        """
        with self.engine.connect() as connection:
            link: Any = connection.connection.driver_connection
            return is_here(link.pgconn.host, link.pgconn.hostaddr)

    @contextmanager
    def write_tx(self) -> Iterator[Session]:
        """One transaction: commits when the block ends, rolls back when it raises.

        Signals raised with `signal` are passed on once the commit has succeeded.
        """
        with Session(self.engine, expire_on_commit=False) as session:
            session.info.update(self._carried)
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

    def lazy_read(self) -> LazyRead:
        """A read-only transaction that begins when its session is first asked for."""
        return LazyRead(self)

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
        self.reader.close()
        self.engine.dispose()


class LazyRead:
    """See `Database.lazy_read`. Written out, since a request that asks for no session goes
    through here too, and a generator with a stack of exits takes longer than its statement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stack: ExitStack | None = None
        self._session: Session | None = None

    def __enter__(self) -> Callable[[], Session]:
        return self._opened

    def __exit__(self, *error: Any) -> bool | None:  # noqa: PYI036 - handed on as they come
        return self._stack.__exit__(*error) if self._stack is not None else None

    def _opened(self) -> Session:
        if self._session is None:
            self._stack = ExitStack()
            self._session = self._stack.enter_context(self._database.read_tx())
        return self._session


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
