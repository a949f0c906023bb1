"""The embedded server as processes share it: the first in starts it, the last out stops it."""

from __future__ import annotations

import atexit
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg

from walletsvc.core.errors import ConfigurationError
from walletsvc.storage.embedded import binaries, sockets
from walletsvc.storage.embedded.cluster import Cluster
from walletsvc.storage.embedded.locks import FileLock, make_private

DATABASE: Final = "walletsvc"
_POLL_SECONDS: Final = 0.05
_log = logging.getLogger(__name__)


class EmbeddedServer:
    """PostgreSQL in one folder, shared by every process that starts it.

    Each process holds a shared lock while it needs the server. Whoever leaves and can then get
    that lock alone was the last and stops the server. A second lock lets one process at a time
    start or stop. A process that is killed holds nothing any more; a server that outlived its
    last process is joined, and stopped, by the next.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        timeout: float = 300.0,
    ) -> None:
        """`settings` are PostgreSQL's own, for the start that this process may have to make.

        `timeout`: seconds to wait for an answer; recovery after a crash takes a while.
        """
        self.folder = folder.absolute()
        self._cluster = Cluster(self.folder, settings or {})
        self._timeout = timeout
        self._users = FileLock(self.folder / "users.lock")
        self._starting = FileLock(self.folder / "start.lock")
        self._url = ""

    def start(self) -> str:
        """The address of the database, `postgresql://…`, with the server running.

        Starts the server, or joins the running one; makes folder and database when missing.
        Raises ConfigurationError, one line that names WALLETSVC_DATA_DIR.
        """
        if self._users.held:
            return self._url
        try:
            make_private(self.folder)
            with self._starting.alone(self._timeout):
                self._users.take_shared()
                try:
                    self._url = self._ensure_running()
                except BaseException:
                    self._leave()
                    raise
        except TimeoutError as error:
            raise ConfigurationError(
                f"WALLETSVC_DATA_DIR: another process has been starting the database in "
                f"{self.folder} for {self._timeout:.0f} s."
            ) from error
        except OSError as error:
            raise ConfigurationError(
                f"WALLETSVC_DATA_DIR: {error.filename or self.folder} cannot be used: "
                f"{error.strerror}."
            ) from error
        atexit.register(self.stop)
        return self._url

    def ensure(self) -> None:
        """Start the server again if it died while we use it; raises as `start` does."""
        if self._users.held and not self._cluster.answers():
            with self._starting.alone(self._timeout):
                self._url = self._ensure_running()

    def stop(self) -> None:
        """Leave the server; stops it when no other process uses it. Harmless when repeated."""
        atexit.unregister(self.stop)
        if not self._users.held:
            return
        try:
            with self._starting.alone(self._timeout):
                self._leave()
        except TimeoutError:
            self._users.release()

    def bin(self, name: str) -> Path:
        """The path of a PostgreSQL program of the server's version: `pg_dump`, `psql`, …"""
        return binaries.program(name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _ensure_running(self) -> str:
        """Wait for the server that works here, or start one; then find or make the database."""
        deadline = time.monotonic() + self._timeout
        self._cluster.initialise()
        while True:
            socket_folder = self._cluster.socket_folder()
            if socket_folder and self._cluster.answers() and self._make_database(socket_folder):
                return sockets.url(socket_folder, DATABASE)
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise ConfigurationError(
                    f"WALLETSVC_DATA_DIR: the database in {self.folder} does not answer after "
                    f"{self._timeout:.0f} s; server.log there may say why."
                )
            if self._cluster.processes():
                self._cluster.dismiss_orphans()
                time.sleep(_POLL_SECONDS)
            else:
                self._cluster.launch(remaining)

    @staticmethod
    def _make_database(socket_folder: Path) -> bool:
        """Make our database unless it is there; False when the server went away meanwhile."""
        try:
            with psycopg.connect(
                sockets.url(socket_folder, "postgres"), autocommit=True, connect_timeout=10
            ) as connection:
                found = connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
                ).fetchone()
                if found is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError:
            return False
        return True

    def _leave(self) -> None:
        try:
            if self._users.try_exclusive() and not self._cluster.shut_down():
                _log.warning("The database in %s did not stop in time.", self.folder)
        finally:
            self._users.release()
