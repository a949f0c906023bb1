"""The drain: takes changes off the log and has them acted on, in one transaction per batch.

Deleting the rows and acting on them commit together: a worker that dies in between leaves
the rows for the next one. Several workers may drain at once; each skips what another holds.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from walletsvc.jobs import counters
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
    ")) RETURNING topic, key, at, EXTRACT(EPOCH FROM clock_timestamp() - at)::float AS age"
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
# Work for when the log is empty: does a little of it, and returns for how many seconds nothing
# more is to be done (0: go on at once).
Spare = Callable[[], float]


class Drain:
    """Hands batches of changes to a handler until none are left."""

    def __init__(
        self,
        database: Database,
        handle: Handler,
        *,
        limit: int = 1000,
        spare: Spare = lambda: math.inf,
    ) -> None:
        """`spare` is called whenever the bulk lane is empty; an interactive change waits for
        one call of it at most."""
        self._database = database
        self._handle = handle
        self._limit = limit
        self._spare = spare

    def run_once(self) -> int:
        """All interactive changes that fit into a batch, and then, so that a busy shop does not
        hold up broadcasts for ever, a batch of the bulk lane; returns how many it dealt with."""
        interactive, bulk = self._round()
        return interactive + (bulk or 0)

    def _round(self) -> tuple[int, int | None]:
        """How many changes of each lane were dealt with; None: bulk had to wait."""
        interactive = self._lane(Lane.INTERACTIVE)
        if interactive >= self._limit:
            return interactive, None
        return interactive, self._lane(Lane.BULK)

    def _lane(self, lane: Lane) -> int:
        try:
            return self._take(lane, self._limit)
        except OperationalError:
            raise
        except Exception:
            # One bad row must not stop all cards; its own traceback follows if it stays bad.
            log.exception("a batch of changes failed; they are tried one by one")
            return self._one_by_one(lane)

    def run(self, stop: threading.Event, wait: Callable[[float], object], sweep: float) -> None:
        """Drain until `stop`; sleep in `wait` (which a signal may end) when all is done."""
        while not stop.is_set():
            try:
                interactive, bulk = self._round()
                idle = self._spare() if bulk == 0 else 0.0
            except OperationalError as error:
                log.warning("the change log cannot be read", error=str(error.orig).strip())
                stop.wait(sweep)
                continue
            if not interactive and idle:
                wait(min(idle, sweep))

    def _take(self, lane: Lane, limit: int) -> int:
        with self._database.write_tx() as session:
            rows = session.execute(_TAKE, {"lane": int(lane), "limit": limit}).all()
            if rows:
                started = time.monotonic()
                self._handle(session, _batch(lane, rows))
                _count(session, lane, [row.age for row in rows], time.monotonic() - started)
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
                attempt.commit()  # some of what it asked for may fail only now
            except OperationalError:
                raise
            except Exception:
                log.exception("a change is set aside", topic=row.topic, key=row.key)
                attempt.rollback()
                session.execute(
                    _SET_ASIDE,
                    {
                        "topic": row.topic,
                        "key": row.key,
                        "at": row.at,
                        "lane": int(lane),
                        "seconds": _POSTPONE_SECONDS,
                    },
                )
            return True


def _count(session: Session, lane: Lane, ages: Sequence[float], seconds: float) -> None:
    """How long these changes waited until they were published, which took so many seconds."""
    waited = [age + seconds for age in ages]
    counters.add(
        session, counters.histogram("publish_delay_seconds", waited, lane=lane.name.lower())
    )


def _batch(lane: Lane, rows: Sequence[Row[Any]]) -> Batch:
    since: dict[str, dict[int, datetime]] = {}
    for row in rows:
        known = since.setdefault(row.topic, {})
        known[row.key] = min(row.at, known.get(row.key, row.at))
    return Batch(lane, {topic: sorted(ats) for topic, ats in since.items()}, since)
