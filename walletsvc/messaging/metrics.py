"""What messages and gateways say in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.jobs.changes import Lane
from walletsvc.jobs.metrics import PREFIX, seconds_since
from walletsvc.messaging.service import list_gateways

_WAITING: Final = text(
    "SELECT lane, count(*) AS waiting, min(created_at) AS oldest FROM messages"
    " WHERE due_at IS NOT NULL AND state IN ('queued', 'sending') GROUP BY lane"
)


def families(session: Session, now: datetime) -> Iterator[Metric]:
    """Everything of this package, computed at this moment; what became of messages is counted."""
    waiting = GaugeMetricFamily(
        f"{PREFIX}messages_waiting", "Messages that no gateway has yet.", labels=["lane"]
    )
    oldest = GaugeMetricFamily(
        f"{PREFIX}messages_oldest_seconds", "Age of the oldest of them.", labels=["lane"]
    )
    found = {row.lane: row for row in session.execute(_WAITING)}
    for lane in Lane:
        row, name = found.get(lane), [lane.name.lower()]
        waiting.add_metric(name, row.waiting if row else 0)
        oldest.add_metric(name, seconds_since(row.oldest if row else None, now))
    stopped = GaugeMetricFamily(
        f"{PREFIX}message_gateway_stopped",
        "Whether a gateway is out of use because of a fault that somebody must mend.",
        labels=["gateway", "kind"],
    )
    for gateway in list_gateways(session):
        stopped.add_metric([gateway.public_id, gateway.kind], float(bool(gateway.stopped_reason)))
    yield from (waiting, oldest, stopped)
