"""What waits for Google, the breaker, the rate and the classes say in numbers.

Requests, notifications and delays are counted where they happen (`sending/load.py`,
`sending/classes.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.google import census
from walletsvc.google.models import IssuerState
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.metrics import PREFIX, seconds_since
from walletsvc.settings import Settings

_STATES: Final = (IssuerState.OPEN, IssuerState.STOPPED, IssuerState.PAUSED)  # 0, 1, 2

_OBJECTS: Final = text(
    "SELECT lane, count(*) FILTER (WHERE due_at <= :now) AS due,"
    "   count(*) FILTER (WHERE due_at > :now) AS later, min(due_at) AS oldest"
    " FROM google_objects WHERE due_at IS NOT NULL GROUP BY lane"
)
# A try that failed puts `due_at` off; how long the pass has waited is told by its publication.
_TRIED: Final = text(
    "SELECT o.lane, min(p.published_at) AS oldest FROM google_objects o"
    " JOIN passes p ON p.id = o.pass_id WHERE o.due_at IS NOT NULL AND o.attempts > 1"
    " GROUP BY o.lane"
)
_MESSAGES: Final = text(
    "SELECT pass_id IS NULL AS for_all, count(*) AS waiting, min(created_at) AS oldest"
    " FROM google_messages WHERE state = 'due' GROUP BY 1"
)
_ISSUERS: Final = text(
    "SELECT t.identifier, i.state,"
    "   GREATEST(EXTRACT(EPOCH FROM i.free_at - clock_timestamp()), 0) AS ahead"
    " FROM google_issuers i JOIN pass_types t ON t.id = i.pass_type_id ORDER BY t.identifier"
)
_CLASSES: Final = text(
    "SELECT count(*) FILTER (WHERE digest IS NOT NULL AND error = '') AS sent,"
    "   count(*) FILTER (WHERE digest IS NULL AND error = '') AS waiting,"
    "   count(*) FILTER (WHERE error <> '') AS refused FROM google_classes"
)


def families(session: Session, now: datetime, settings: Settings) -> Iterator[Metric]:
    """Everything of this package, computed at this moment; without samples where nothing was ever
    issued for Google Wallet."""
    issuers = session.execute(_ISSUERS).all()
    there = bool(issuers)
    state = GaugeMetricFamily(
        f"{PREFIX}google_issuer_state",
        "Whether changes are sent to Google: 0 open, 1 stopped by a fault of configuration, "
        "2 paused by the operator.",
        labels=["issuer"],
    )
    limit = GaugeMetricFamily(
        f"{PREFIX}google_rate_limit",
        "Requests a second that all workers together may make.",
        labels=["issuer"],
    )
    ahead = GaugeMetricFamily(
        f"{PREFIX}google_rate_ahead_seconds",
        "For how long the rate is given away already: a request now would wait so long.",
        labels=["issuer"],
    )
    for row in issuers:
        state.add_metric([row.identifier], _STATES.index(IssuerState(row.state)))
        limit.add_metric([row.identifier], settings.google_requests_per_second)
        ahead.add_metric([row.identifier], float(row.ahead))
    yield from (state, limit, ahead)
    yield from _objects(session, now, there=there)
    yield from _messages(session, now, there=there)
    yield from _held(session, there=there)


def _objects(session: Session, now: datetime, *, there: bool) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        f"{PREFIX}google_objects_waiting",
        "Passes of which Google is to be given more: due, or claimed or backing off (later).",
        labels=["lane", "state"],
    )
    oldest = GaugeMetricFamily(
        f"{PREFIX}google_objects_oldest_seconds", "Age of the oldest of them.", labels=["lane"]
    )
    found = {row.lane: row for row in session.execute(_OBJECTS, {"now": now})} if there else {}
    tried = {row.lane: row.oldest for row in session.execute(_TRIED)} if found else {}
    for lane in Lane if there else ():
        row, name = found.get(lane), lane.name.lower()
        waiting.add_metric([name, "due"], row.due if row else 0)
        waiting.add_metric([name, "later"], row.later if row else 0)
        since = [at for at in (row.oldest if row else None, tried.get(lane)) if at is not None]
        oldest.add_metric([name], seconds_since(min(since, default=None), now))
    yield from (waiting, oldest)


def _messages(session: Session, now: datetime, *, there: bool) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        f"{PREFIX}google_messages_waiting",
        "Messages not sent yet: to one pass, or to all of a class.",
        labels=["to"],
    )
    oldest = GaugeMetricFamily(
        f"{PREFIX}google_messages_oldest_seconds", "Age of the oldest of them.", labels=["to"]
    )
    found = {row.for_all: row for row in session.execute(_MESSAGES)} if there else {}
    for for_all, name in ((False, "pass"), (True, "class")) if there else ():
        row = found.get(for_all)
        waiting.add_metric([name], row.waiting if row else 0)
        oldest.add_metric([name], seconds_since(row.oldest if row else None, now))
    yield from (waiting, oldest)


def _held(session: Session, *, there: bool) -> Iterator[Metric]:
    saved = GaugeMetricFamily(
        f"{PREFIX}google_saved", "Passes that sit in a Google Wallet; of very many about how many."
    )
    classes = GaugeMetricFamily(
        f"{PREFIX}google_classes",
        "Classes, one for each template: sent, not sent yet (waiting), or refused by Google.",
        labels=["state"],
    )
    if there:
        saved.add_metric([], census.saved(session))
        row = session.execute(_CLASSES).one()
        for name, count in row._asdict().items():
            classes.add_metric([name], count)
    yield from (saved, classes)
