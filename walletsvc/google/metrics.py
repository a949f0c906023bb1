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

# Nothing is sent for what is left of a former issuer: it does not wait.
_OURS: Final = (
    "JOIN google_classes c ON c.id = o.google_class_id"
    " JOIN pass_types t ON t.id = c.pass_type_id WHERE t.identifier = :issuer_id"
)
_OBJECTS: Final = text(
    "SELECT lane, count(*) FILTER (WHERE o.due_at <= :now) AS due,"  # noqa: S608 - words of ours
    "   count(*) FILTER (WHERE o.due_at > :now) AS later, min(o.due_at) AS oldest"
    f" FROM google_objects o {_OURS} AND o.due_at IS NOT NULL GROUP BY lane"
)
# A try that failed puts `due_at` off; how long the pass has waited is told by its publication.
_TRIED: Final = text(
    "SELECT o.lane, min((SELECT p.published_at FROM passes p WHERE p.id = o.pass_id)) AS oldest"  # noqa: S608
    f" FROM google_objects o {_OURS} AND o.due_at IS NOT NULL AND o.attempts > 1 GROUP BY o.lane"
)
_MESSAGES: Final = text(
    "SELECT m.pass_id IS NULL AS for_all, count(*) AS waiting, min(m.created_at) AS oldest"  # noqa: S608
    " FROM (SELECT m.pass_id, m.created_at, COALESCE(m.google_class_id, h.google_class_id)"
    "     AS google_class_id FROM google_messages m"
    "     LEFT JOIN google_objects h ON h.pass_id = m.pass_id WHERE m.state = 'due') m"
    f" {_OURS.replace('o.', 'm.')} GROUP BY 1"
)
_ISSUERS: Final = text(
    "SELECT t.identifier, i.state,"
    "   GREATEST(EXTRACT(EPOCH FROM i.free_at - clock_timestamp()), 0) AS ahead"
    " FROM google_issuers i JOIN pass_types t ON t.id = i.pass_type_id ORDER BY t.identifier"
)
_CLASSES: Final = text(
    "SELECT count(*) FILTER (WHERE c.digest IS NOT NULL AND c.error = '') AS sent,"
    "   count(*) FILTER (WHERE c.digest IS NULL AND c.error = '') AS waiting,"
    "   count(*) FILTER (WHERE c.error <> '') AS refused FROM google_classes c"
    " JOIN pass_types t ON t.id = c.pass_type_id WHERE t.identifier = :issuer_id"
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
    yield from _objects(session, now, settings.google_issuer_id, there=there)
    yield from _messages(session, now, settings.google_issuer_id, there=there)
    yield from _held(session, settings.google_issuer_id, there=there)


def _objects(session: Session, now: datetime, issuer_id: str, *, there: bool) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        f"{PREFIX}google_objects_waiting",
        "Passes of which Google is to be given more: due, or claimed or backing off (later).",
        labels=["lane", "state"],
    )
    oldest = GaugeMetricFamily(
        f"{PREFIX}google_objects_oldest_seconds", "Age of the oldest of them.", labels=["lane"]
    )
    values = {"now": now, "issuer_id": issuer_id}
    found = {row.lane: row for row in session.execute(_OBJECTS, values)} if there else {}
    tried = {row.lane: row.oldest for row in session.execute(_TRIED, values)} if found else {}
    for lane in Lane if there else ():
        row, name = found.get(lane), lane.name.lower()
        waiting.add_metric([name, "due"], row.due if row else 0)
        waiting.add_metric([name, "later"], row.later if row else 0)
        since = [at for at in (row.oldest if row else None, tried.get(lane)) if at is not None]
        oldest.add_metric([name], seconds_since(min(since, default=None), now))
    yield from (waiting, oldest)


def _messages(session: Session, now: datetime, issuer_id: str, *, there: bool) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        f"{PREFIX}google_messages_waiting",
        "Messages not sent yet: to one pass, or to all of a class.",
        labels=["to"],
    )
    oldest = GaugeMetricFamily(
        f"{PREFIX}google_messages_oldest_seconds", "Age of the oldest of them.", labels=["to"]
    )
    values = {"issuer_id": issuer_id}
    found = {row.for_all: row for row in session.execute(_MESSAGES, values)} if there else {}
    for for_all, name in ((False, "pass"), (True, "class")) if there else ():
        row = found.get(for_all)
        waiting.add_metric([name], row.waiting if row else 0)
        oldest.add_metric([name], seconds_since(row.oldest if row else None, now))
    yield from (waiting, oldest)


def _held(session: Session, issuer_id: str, *, there: bool) -> Iterator[Metric]:
    saved = GaugeMetricFamily(
        f"{PREFIX}google_saved",
        "Passes of the issuer in the setting that sit in a Google Wallet; of very many about how "
        "many.",
    )
    classes = GaugeMetricFamily(
        f"{PREFIX}google_classes",
        "Classes, one for each template: sent, not sent yet (waiting), or refused by Google.",
        labels=["state"],
    )
    if there:
        saved.add_metric([], census.saved(session, issuer_id))
        row = session.execute(_CLASSES, {"issuer_id": issuer_id}).one()
        for name, count in row._asdict().items():
            classes.add_metric([name], count)
    yield from (saved, classes)
