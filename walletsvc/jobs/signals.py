"""Waking workers: a signal after the commit, never inside the money transaction.

A NOTIFY inside a transaction makes all commits queue behind one lock, so the signal leaves
on a connection of its own, from a thread that folds a burst into one: each is a commit of its own
that waits for the disk, so that one for each purchase would double their number. Signals may get
lost; every listener also looks by itself every second or two.
"""

from __future__ import annotations

import threading
import time

import psycopg
import structlog
from psycopg import sql
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.closing import Closing

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0
_APART_SECONDS = 0.1  # between two signals: the first of a burst leaves at once
_LISTENING = text(
    "SELECT application_name, count(*) AS listeners FROM pg_stat_activity"
    " WHERE datname = current_database() GROUP BY application_name"
)


class Nudger:
    """Sends NOTIFY for raised signals from a background thread, at most one per burst."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._names: set[str] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def nudge(self, channel: str) -> None:
        """Wake the listeners of a channel soon; returns at once and never fails."""
        with self._lock:
            self._names.add(channel)
            # Started on first use: a server that forks after start-up keeps a working thread.
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name="nudger", daemon=True)
                self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """Send what is waiting and stop the thread."""
        with self._lock:
            self._closing.set()
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            try:
                with psycopg.connect(self._conninfo, autocommit=True) as connection:
                    self._serve(connection)
            except psycopg.Error as error:
                # The sweep of every listener covers for lost signals meanwhile.
                log.warning("signals cannot be sent", error=str(error).strip())
                time.sleep(_RETRY_SECONDS)
            if self._closing.is_set():
                return

    def _serve(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                names, self._names = self._names, set()
                closing = self._closing.is_set()
            for name in names:
                connection.execute(sql.SQL("NOTIFY {}").format(sql.Identifier(name)))
            if closing:
                return
            self._closing.wait(_APART_SECONDS)


class Listener(Closing):
    """Waits for signals on a channel; survives a database that goes away.

    Its connection carries the channel's name, by which `listening` knows that someone is there.
    """

    def __init__(self, conninfo: str, channel: str) -> None:
        self._conninfo = conninfo
        self._channel = channel
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def close(self) -> None:
        """Stop listening."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def wait(self, seconds: float) -> bool:
        """Wait for a signal, at most so long; True when one came.

        A signal sent between two waits is not lost: the connection keeps it.
        """
        try:
            if self._connection is None:
                self._connection = self._connect()
                return True  # what was signalled before we listened must be looked at
            # All that have come: the looks must not lag behind a burst.
            return bool(list(self._connection.notifies(timeout=seconds, stop_after=1)))
        except psycopg.OperationalError as error:
            log.warning("signals cannot be received", error=str(error).strip())
            self.close()
            time.sleep(min(seconds, _RETRY_SECONDS))
            return False

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        connection = psycopg.connect(
            self._conninfo, autocommit=True, application_name=self._channel
        )
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
        return connection


def listening(session: Session) -> dict[str, int]:
    """The channels that processes of this installation listen on at this moment, and how many
    do."""
    return {row.application_name: row.listeners for row in session.execute(_LISTENING)}
