"""The drain: takes changes off the log and has them acted on, in one transaction per batch.

Deleting the rows and acting on them commit together: a worker that dies in between leaves
the rows for the next one. Several workers may drain at once; each skips what another holds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

_POSTPONE_SECONDS = 60

# ARRAY makes sure that the inner query, which locks, runs once.
_TAKE = text(
    "DELETE FROM changes WHERE id = ANY(ARRAY("
    "  SELECT id FROM changes WHERE lane = :lane"
    "    AND (postponed_until IS NULL OR postponed_until <= now())"
    "  ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED"
    ")) RETURNING topic, key, at"
)
_SET_ASIDE = text(
    "INSERT INTO changes (topic, key, lane, at, postponed_until)"
    " VALUES (:topic, :key, :lane, :at, now() + make_interval(secs => :seconds))"
)


@dataclass(frozen=True)
class Batch:
    """Changes of one lane: for each topic the keys that changed, each named once, and when
    the oldest change of each was made."""

    lane: Lane
    keys: dict[str, list[int]]
    since: dict[str, dict[int, datetime]] = field(default_factory=dict, compare=False)


Handler = Callable[[Session, Batch], None]


class Drain:
    """Hands batches of changes to a handler until none are left."""

    def __init__(self, database: Database, handle: Handler, *, limit: int = 1000) -> None:
        self._database = database
        self._handle = handle
        self._limit = limit

    def run_once(self) -> int:
        """One batch, the interactive lane first; returns how many changes it dealt with."""
        for lane in Lane:
            try:
                taken = self._take(lane, self._limit)
            except OperationalError:
                raise
            except Exception:
                # One bad row must not stop all cards; its own traceback follows if it stays bad.
                log.exception("a batch of changes failed; they are tried one by one")
                taken = self._one_by_one(lane)
            if taken:
                return taken
        return 0

    def run(self, stop: threading.Event, wait: Callable[[float], object], sweep: float) -> None:
        """Drain until `stop`; sleep in `wait` (which a signal may end) when all is done."""
        while not stop.is_set():
            try:
                busy = self.run_once()
            except OperationalError as error:
                log.warning("the change log cannot be read", error=str(error.orig).strip())
                stop.wait(sweep)
                continue
            if not busy:
                wait(sweep)

    def _take(self, lane: Lane, limit: int) -> int:
        with self._database.write_tx() as session:
            rows = session.execute(_TAKE, {"lane": int(lane), "limit": limit}).all()
            if rows:
                self._handle(session, _batch(lane, rows))
            return len(rows)

    def _one_by_one(self, lane: Lane) -> int:
        """After a batch failed: act on its changes singly and set the failing ones aside."""
        for done in range(self._limit):
            if not self._take_one(lane):
                return done
        return self._limit

    def _take_one(self, lane: Lane) -> bool:
        with self._database.write_tx() as session:
            row = session.execute(_TAKE, {"lane": int(lane), "limit": 1}).first()
            if row is None:
                return False
            attempt = session.begin_nested()
            try:
                self._handle(session, _batch(lane, [row]))
            except OperationalError:
                raise
            except Exception:
                log.exception("a change is set aside", topic=row.topic, key=row.key)
                attempt.rollback()
                session.execute(
                    _SET_ASIDE,
                    {**row._asdict(), "lane": int(lane), "seconds": _POSTPONE_SECONDS},
                )
            else:
                attempt.commit()
            return True


def _batch(lane: Lane, rows: Sequence[Row[Any]]) -> Batch:
    since: dict[str, dict[int, datetime]] = {}
    for row in rows:
        known = since.setdefault(row.topic, {})
        known[row.key] = min(row.at, known.get(row.key, row.at))
    return Batch(lane, {topic: sorted(ats) for topic, ats in since.items()}, since)
