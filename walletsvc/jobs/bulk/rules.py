"""How far a job is, in numbers and in words: pure functions of its row and the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from walletsvc.jobs.bulk.models import BulkJob, BulkState

# A rate measured over less than this says nothing yet.
_LEAST_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """`rate` is in items per second over the present run, `remaining` in seconds; both are
    None while nobody can know them, and in a job that does not run."""

    done: int
    total: int
    percent: int
    rate: float | None
    remaining: float | None
    words: str


def progress(job: BulkJob, now: datetime) -> Progress:
    """How far the job is at this moment."""
    total = max(job.total, job.done)
    finished = job.state is BulkState.DONE and not job.problem
    percent = 100 if finished else _percent(job.done, total)
    rate = _rate(job, now)
    remaining = None
    if job.state is BulkState.RUNNING and rate:
        remaining = (total - job.done) / rate
    if job.state is not BulkState.RUNNING:
        words = _ended(job)
    elif job.waiting_since is not None:
        words = "waiting for pushes to leave first"
    elif job.failures:
        words = f"a piece failed and is tried again (try {job.failures + 1}): {job.problem}"
    elif job.counted_from is None:
        words = "waiting for its turn"
    else:
        words = "running"
    return Progress(job.done, total, percent, rate, remaining, words)


def line(job: BulkJob, now: datetime) -> str:
    """The progress as one line for people."""
    found = progress(job, now)
    parts = [f"{found.done:,} of {found.total:,} ({found.percent} %)"]
    if found.rate is not None:
        parts.append(f"{found.rate:,.0f} a second")
    if found.remaining is not None:
        parts.append(f"{span(found.remaining)} left")
    parts += [f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(job.result.items())]
    return f"{', '.join(parts)}: {found.words}"


def span(seconds: float) -> str:
    """A length of time as people say it: its two largest parts."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _percent(done: int, total: int) -> int:
    # Rounded down: 100 means that nothing is left.
    return done * 100 // total if total else 0


def _rate(job: BulkJob, now: datetime) -> float | None:
    if job.counted_from is None or job.state in (BulkState.PAUSED, BulkState.FAILED):
        return None
    seconds = ((job.finished_at or now) - job.counted_from).total_seconds()
    done = job.done - job.counted_done
    if job.state is BulkState.RUNNING and seconds < _LEAST_SECONDS:
        return None
    return done / seconds if seconds > 0 else None


def _ended(job: BulkJob) -> str:
    if job.problem:
        return f"{job.state}: {job.problem}"
    return str(job.state)
