"""What the ledger's last verification says in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlmodel import Session

from walletsvc.jobs.metrics import PREFIX
from walletsvc.ledger.verification import health


def families(session: Session, now: datetime) -> Iterator[Metric]:
    """Age and result of the newest finished verification; no samples before the first."""
    age = GaugeMetricFamily(
        f"{PREFIX}ledger_verified_seconds", "How long ago the ledger was last verified."
    )
    differences = GaugeMetricFamily(
        f"{PREFIX}ledger_differences", "Differences that its last verification found."
    )
    state = health(session, now)
    if state.age is not None:
        age.add_metric([], state.age.total_seconds())
        differences.add_metric([], state.differences)
    yield from (age, differences)
