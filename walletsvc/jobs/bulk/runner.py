"""Doing bulk jobs, one piece per transaction.

The publisher calls `run_once` when the change log is empty, so an interactive change waits
for one piece at most: pieces are sized to last a fraction of a second. A piece commits
together with the job's cursor, under the lock of the job's row: two workers never do the same
piece, and one that dies has done nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select

from walletsvc.core.clock import Clock
from walletsvc.core.errors import WalletsvcError
from walletsvc.jobs.bulk.models import BulkJob, BulkState
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

TRIES: Final = 5
RETRY_SECONDS: Final = 5  # times the number of tries that failed

_PIECE_SECONDS: Final = 0.15
_FIRST_SIZE: Final = 200
_SMALLEST: Final = 20
_LARGEST: Final = 2000

# While pushes have to leave first: looked at often at first, then at the worker's own pace.
_NAP_SECONDS: Final = 0.05
_NAPS: Final = 40
_SAID_AFTER: Final = timedelta(seconds=3)

# Least recently advanced first, so that jobs take turns; a failed try waits a while.
_RUNNABLE: Final = text(
    "SELECT * FROM bulk_jobs WHERE state = 'running' AND kind = ANY(CAST(:kinds AS text[]))"
    " AND (failures = 0 OR updated_at <= :now - failures * make_interval(secs => :retry))"
    " ORDER BY updated_at, id"
)
_SAY_WAITING: Final = text(
    "UPDATE bulk_jobs SET waiting_since = :now"
    " WHERE id = :id AND state = 'running' AND waiting_since IS NULL"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """What a handler did: the cursor and the items dealt with, and whether none are left.

    `counted` adds to the job's result: how many items by what became of them.
    """

    cursor: int
    done: int
    finished: bool
    counted: Mapping[str, int] = field(default_factory=dict)


# Does at most so many items after the job's cursor, in the caller's transaction.
Handler = Callable[[Session, BulkJob, int, datetime], Piece]
# Whether a job has to wait because what it caused is still on its way.
Brake = Callable[[Session, BulkJob], bool]


class Runner:
    """Does the pieces of all jobs whose kind it knows; jobs of other kinds are left to others."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        *,
        clock: Clock,
        brake: Brake = lambda _session, _job: False,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._clock = clock
        self._brake = brake
        self._sizes: dict[str, int] = {}
        self._naps = 0

    def run_once(self) -> float:
        """Do one piece of the job whose turn it is.

        Returns for how many seconds nothing is to be done: 0 after a piece, infinity when
        only time or a signal can bring work. Raises OperationalError when the database is gone.
        """
        free, held_back = self._look()
        for job in free:
            if self._do_piece(job):
                self._naps = 0
                return 0.0
        if not held_back:
            return math.inf
        self._naps += 1
        return _NAP_SECONDS if self._naps <= _NAPS else math.inf

    def _look(self) -> tuple[list[BulkJob], bool]:
        """The jobs that may go on, in turn, and whether others must let pushes leave first."""
        now = self._clock()
        with self._database.read_tx() as session:
            found = session.execute(
                select(BulkJob).from_statement(_RUNNABLE),
                {"kinds": list(self._handlers), "now": now, "retry": RETRY_SECONDS},
            )
            jobs = list(found.scalars())
            held = [job for job in jobs if self._brake(session, job)]
        for job in held:
            if job.waiting_since is None and now - job.updated_at > _SAID_AFTER:
                with self._database.write_tx() as session:
                    session.execute(_SAY_WAITING, {"id": job.id, "now": now})
        return [job for job in jobs if job not in held], bool(held)

    def _do_piece(self, job: BulkJob) -> bool:
        """Do a piece, or note that it failed; False when another worker has the job."""
        size = self._sizes.get(job.kind, _FIRST_SIZE)
        started = time.monotonic()
        try:
            with self._database.write_tx() as session:
                done = self._advance(session, job.id, size)
        except OperationalError as error:
            if error.connection_invalidated:
                raise
            self._note_failure(job, error)
            return True
        except Exception as error:  # noqa: BLE001 - whatever it is, other jobs go on
            self._note_failure(job, error)
            return True
        if done is None:
            return False
        self._adapt(job.kind, size, done, time.monotonic() - started)
        return True

    def _advance(self, session: Session, job_id: int, size: int) -> int | None:
        job = session.exec(
            select(BulkJob)
            .where(BulkJob.id == job_id, col(BulkJob.state) == BulkState.RUNNING)
            .with_for_update(skip_locked=True)
        ).first()
        if job is None:
            return None
        now = self._clock()
        if job.counted_from is None:
            job.counted_from, job.counted_done = now, job.done
        piece = self._handlers[job.kind](session, job, size, now)
        job.cursor = piece.cursor
        job.done += piece.done
        counts = {name: count for name, count in piece.counted.items() if count}
        if counts:
            job.result = {
                name: job.result.get(name, 0) + counts.get(name, 0)
                for name in {*job.result, *counts}
            }
        job.updated_at = self._clock()
        job.waiting_since, job.failures, job.problem = None, 0, None
        if piece.finished:
            # What went away meanwhile needed nothing; what was done is all there was.
            job.state, job.total, job.finished_at = BulkState.DONE, job.done, job.updated_at
            log.info("a bulk job is done", job=job.public_id, kind=job.kind, items=job.done)
        session.flush()
        return piece.done

    def _note_failure(self, job: BulkJob, error: Exception) -> None:
        """The piece was rolled back: say so in the job, and after some tries give it up."""
        log.error("a piece of a bulk job failed", job=job.public_id, kind=job.kind, exc_info=error)
        # Texts of other errors may quote what they failed on: those stay in the log.
        said = error.detail if isinstance(error, WalletsvcError) else type(error).__name__
        with self._database.write_tx() as session:
            row = session.get_one(BulkJob, job.id, with_for_update=True)
            if row.state is not BulkState.RUNNING or row.done != job.done:
                return
            row.failures += 1
            row.problem = f"After {row.done:,} items: {said}. The worker's log has more."[:500]
            row.updated_at = self._clock()
            if row.failures >= TRIES:
                row.state, row.finished_at = BulkState.FAILED, row.updated_at

    def _adapt(self, kind: str, size: int, done: int, seconds: float) -> None:
        """Let the next piece last as long as an interactive change may wait."""
        if done < size and seconds < _PIECE_SECONDS:
            return  # the last piece of a job says nothing
        fitting = int(done / seconds * _PIECE_SECONDS)
        # At most doubling: one lucky piece must not make the next one last for seconds.
        self._sizes[kind] = min(max(fitting, _SMALLEST), size * 2, _LARGEST)
