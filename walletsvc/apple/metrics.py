"""What pushes, push channels, certificates and devices say in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.apple.identity import certificate_days
from walletsvc.apple.models import ChannelState
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.metrics import PREFIX, seconds_since

_STATES: Final = (ChannelState.OPEN, ChannelState.STOPPED, ChannelState.PAUSED)  # 0, 1, 2

_PUSHES: Final = text(
    "SELECT pass_type_id, lane, count(*) FILTER (WHERE due_at <= :now) AS due,"
    "   count(*) FILTER (WHERE due_at > :now) AS later, min(created_at) AS oldest"
    " FROM pushes GROUP BY pass_type_id, lane"
)
_PASS_TYPES: Final = text(
    "SELECT t.id, t.identifier, p.state FROM pass_types t"
    " LEFT JOIN push_channels p ON p.pass_type_id = t.id WHERE t.wallet = 'apple'"
    " ORDER BY t.identifier"
)
# Counting these rows would read all of them; the planner's estimate costs nothing.
_ESTIMATES: Final = text(
    "SELECT relname, reltuples FROM pg_class WHERE reltuples >= 0 AND oid IN"
    " ('cards'::regclass, 'passes'::regclass, 'devices'::regclass, 'registrations'::regclass)"
)


def families(session: Session, now: datetime) -> Iterator[Metric]:
    """Everything of this package, computed at this moment."""
    types = session.execute(_PASS_TYPES).all()
    yield from _pushes(session, {row.id: row.identifier for row in types}, now)
    channel = GaugeMetricFamily(
        f"{PREFIX}push_channel_state",
        "Whether pushes of a pass type are sent: 0 open, 1 stopped by a fault of configuration, "
        "2 paused by the operator.",
        labels=["pass_type"],
    )
    days = GaugeMetricFamily(
        f"{PREFIX}certificate_days_left",
        "Days until the signing certificate expires; negative afterwards.",
        labels=["pass_type"],
    )
    for row in types:
        state = ChannelState(row.state) if row.state else ChannelState.OPEN
        channel.add_metric([row.identifier], _STATES.index(state))
    for identifier, left in certificate_days(session, now).items():
        days.add_metric([identifier], left)
    yield from (channel, days)
    rows = GaugeMetricFamily(
        f"{PREFIX}rows_estimated",
        "About how many there are, as the database's planner knows it.",
        labels=["of"],
    )
    for row in session.execute(_ESTIMATES):
        rows.add_metric([row.relname], row.reltuples)
    yield rows


def _pushes(session: Session, names: dict[int, str], now: datetime) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        f"{PREFIX}pushes_waiting",
        "Pushes not accepted by Apple yet: due, or claimed or backing off (later).",
        labels=["pass_type", "lane", "state"],
    )
    oldest = GaugeMetricFamily(
        f"{PREFIX}pushes_oldest_seconds",
        "Age of the oldest of them.",
        labels=["pass_type", "lane"],
    )
    found = {(row.pass_type_id, row.lane): row for row in session.execute(_PUSHES, {"now": now})}
    for id_, identifier in names.items():
        for lane in Lane:
            row, labels = found.get((id_, lane)), [identifier, lane.name.lower()]
            waiting.add_metric([*labels, "due"], row.due if row else 0)
            waiting.add_metric([*labels, "later"], row.later if row else 0)
            oldest.add_metric(labels, seconds_since(row.oldest if row else None, now))
    yield from (waiting, oldest)
