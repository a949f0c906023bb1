"""Counting where no transaction is at hand, such as per request: kept in memory for a second.

What a process has not written yet is lost when it is killed: these counters are for rates.
"""

from __future__ import annotations

import threading
from collections import Counter as Tally
from collections.abc import Mapping
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from walletsvc.jobs import counters
from walletsvc.jobs.counters import Series
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

_FLUSH_SECONDS: Final = 1.0


class CounterBuffer:
    """Takes amounts without waiting and adds them to the shared counters a second later."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: Tally[Series] = Tally()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._closed = False
        database.before_close(self.close)

    def add(self, amounts: Mapping[Series, int]) -> None:
        """Count; returns at once and never fails."""
        with self._lock:
            # Not `update`, which first asks what it was given: this runs for every request.
            for key, amount in amounts.items():
                self._waiting[key] += amount
            # A thread per flush: an idle process has none, and a fork takes none along.
            if self._timer is None and not self._closed:
                self._timer = threading.Timer(_FLUSH_SECONDS, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what is waiting; what cannot be written waits for the next time."""
        with self._lock:
            amounts, self._waiting, self._timer = self._waiting, Tally(), None
        if not amounts:
            return
        try:
            with self._database.write_tx() as session:
                counters.add(session, amounts)
        except SQLAlchemyError as error:
            log.warning("counters could not be written", error=str(error)[:200])
            with self._lock:
                self._waiting.update(amounts)

    def close(self) -> None:
        """Write what is waiting, now; `Database.close` calls it."""
        with self._lock:
            self._closed, timer = True, self._timer
        if timer is not None:
            timer.cancel()
            timer.join(timeout=5)
        self.flush()
