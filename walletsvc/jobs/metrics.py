"""What the change log, the job queue, bulk jobs, workers and the counters say in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.jobs import counters
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.counters import BOUNDS, MICROSECONDS, Series
from walletsvc.jobs.presence import present

PREFIX: Final = "walletsvc_"
# What is counted elsewhere under these names; a counter without a line here is shown as well.
COUNTED: Final = {
    "pushes": "Pushes by Apple's answer: its status and reason, or how the connection failed.",
    "published": "Passes published, that is, changed for their holders.",
    "google_requests": "Requests to Google by its answer: status and reason, or why there is none.",
    "google_notifications": "Notifications by kind and what became of them: sent, or suppressed.",
    "google_delay_seconds": "From when a pass is due for Google to Google's having it.",
    "messages": "Messages by kind, channel, and the state they came to.",
    "message_cost": "What messages cost by channel, in minor units of the currency.",
    "message_failures": "Tries that a gateway did not take, by its kind and what was wrong.",
    "http_requests": "Requests answered, by method, route and status.",
    "http_request_seconds": "From the arrival of a request to its answer.",
    "publish_delay_seconds": "From the change of a balance, name or look to its publication.",
    "push_delay_seconds": "From publication to the push that Apple accepted.",
}

_CHANGES: Final = text(
    "SELECT lane, count(*) AS waiting, count(postponed_until) AS postponed, min(at) AS oldest"
    " FROM changes GROUP BY lane"
)
_BULK: Final = text(
    "SELECT kind, state, count(*) AS jobs, sum(done) AS done, sum(total) AS total"
    " FROM bulk_jobs WHERE state IN ('running', 'paused') GROUP BY kind, state"
)
_JOBS: Final = text("SELECT status::text, count(*) AS jobs FROM procrastinate_jobs GROUP BY status")
# A job that is planned for later is not late.
_OLDEST_JOB: Final = text(
    "SELECT min(coalesce(j.scheduled_at,"
    "   (SELECT min(e.at) FROM procrastinate_events e WHERE e.job_id = j.id)))"
    " FROM procrastinate_jobs j WHERE j.status = 'todo'"
    "   AND (j.scheduled_at IS NULL OR j.scheduled_at <= :now)"
)


def families(session: Session, now: datetime, channels: Mapping[str, str]) -> Iterator[Metric]:
    """Everything of this package, computed at this moment; `channels` as `present` takes them."""
    yield from _changes(session, now)
    yield from _bulk(session)
    yield from _jobs(session, now)
    at_work = GaugeMetricFamily(
        f"{PREFIX}workers", "Processes at work, by part, on all hosts.", labels=["part"]
    )
    for part, count in present(session, channels).items():
        at_work.add_metric([part], count)
    yield at_work
    yield from counted(counters.read(session))


def seconds_since(moment: datetime | None, now: datetime) -> float:
    """The age of the oldest of something; nothing there is no age."""
    return 0.0 if moment is None else max((now - moment).total_seconds(), 0.0)


def _changes(session: Session, now: datetime) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        f"{PREFIX}changes_waiting", "Changes not published yet.", labels=["lane"]
    )
    postponed = GaugeMetricFamily(
        f"{PREFIX}changes_postponed",
        "Those of them that failed and are tried again in a minute: the log says why.",
        labels=["lane"],
    )
    oldest = GaugeMetricFamily(
        f"{PREFIX}changes_oldest_seconds", "Age of the oldest of them.", labels=["lane"]
    )
    found = {row.lane: row for row in session.execute(_CHANGES)}
    for lane in Lane:
        row, name = found.get(lane), [lane.name.lower()]
        waiting.add_metric(name, row.waiting if row else 0)
        postponed.add_metric(name, row.postponed if row else 0)
        oldest.add_metric(name, seconds_since(row.oldest if row else None, now))
    yield from (waiting, postponed, oldest)


def _bulk(session: Session) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        f"{PREFIX}bulk_jobs", "Bulk jobs that are not finished.", labels=["kind", "state"]
    )
    items = GaugeMetricFamily(
        f"{PREFIX}bulk_items", "Cards that these jobs are about.", labels=["kind", "state"]
    )
    done = GaugeMetricFamily(
        f"{PREFIX}bulk_items_done", "Those of them that are dealt with.", labels=["kind", "state"]
    )
    for row in session.execute(_BULK):
        name = [row.kind, row.state]
        jobs.add_metric(name, row.jobs)
        items.add_metric(name, float(row.total))
        done.add_metric(name, float(row.done))
    yield from (jobs, items, done)


def _jobs(session: Session, now: datetime) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        f"{PREFIX}jobs",
        "Jobs in the queue by status; those that succeeded are gone from it.",
        labels=["status"],
    )
    found = {row.status: row.jobs for row in session.execute(_JOBS)}
    for status in ("todo", "doing", "failed"):
        jobs.add_metric([status], found.get(status, 0))
    yield jobs
    oldest = session.execute(_OLDEST_JOB, {"now": now}).scalar()
    yield GaugeMetricFamily(
        f"{PREFIX}jobs_oldest_seconds",
        "How long the oldest job that may run has been waiting.",
        value=seconds_since(oldest, now),
    )


def counted(values: dict[Series, int]) -> Iterator[Metric]:
    """The shared counters as counters and histograms."""
    names = {key.name for key in values}
    histograms = {name.removesuffix(MICROSECONDS) for name in names if name.endswith(MICROSECONDS)}
    for name in sorted(histograms):
        yield _histogram(name, values)
    for name in sorted(names - histograms - {name + MICROSECONDS for name in histograms}):
        family = Metric(PREFIX + name, _help(name), "counter")
        for key, value in values.items():
            if key.name == name:
                family.add_sample(f"{PREFIX}{name}_total", counters.labels_of(key), value)
        yield family


def _histogram(name: str, values: dict[Series, int]) -> Metric:
    """Buckets are stored singly and shown, as Prometheus wants them, each with all below it."""
    buckets: dict[tuple[tuple[str, str], ...], dict[str, int]] = {}
    for key, value in values.items():
        if key.name == name:
            labels = counters.labels_of(key)
            bound = labels.pop("le")
            buckets.setdefault(tuple(labels.items()), {})[bound] = value
    first = next(iter(buckets), ())
    family = HistogramMetricFamily(PREFIX + name, _help(name), labels=[label for label, _ in first])
    for pairs, found in buckets.items():
        microseconds = values.get(counters.series(name + MICROSECONDS, **dict(pairs)), 0)
        family.add_metric(
            [value for _, value in pairs], list(_cumulated(found)), sum_value=microseconds / 1e6
        )
    return family


def _cumulated(found: dict[str, int]) -> Iterable[tuple[str, float]]:
    total = 0
    for bound in (*(f"{bound:g}" for bound in BOUNDS), "+Inf"):
        total += found.get(bound, 0)
        yield bound, total


def _help(name: str) -> str:
    return COUNTED.get(name, "Counted since the installation began.")
