"""What has not happened yet: waiting changes and bulk jobs, and what waits in a wallet's queue."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from walletsvc.passes.timeline.standing import Standing


class WaitingKind(enum.StrEnum):
    """What waits, or what holds others up."""

    CHANGE = "change"
    CHANGE_ASIDE = "change-aside"
    BULK = "bulk"
    PUSH = "push"
    CHANNEL = "channel"
    OBJECT = "object"
    MESSAGE = "message"
    ISSUER = "issuer"


@dataclass(frozen=True)
class Waiting:
    """Something that waits since a moment and goes on at `due`, if that is known."""

    kind: WaitingKind
    since: datetime | None
    due: datetime | None
    device: str | None
    values: Mapping[str, Any]


def unpublished(facts: Standing) -> Iterator[Waiting]:
    """What waits for its publication."""
    for change in facts.changes:
        aside = change.postponed_until
        yield Waiting(
            WaitingKind.CHANGE_ASIDE if aside else WaitingKind.CHANGE,
            change.at,
            aside,
            None,
            {"topic": change.topic, "lane": change.lane.name.lower()},
        )
    for job in facts.bulk:
        values = {"title": job.title, "state": job.state, "done": job.done, "total": job.total}
        yield Waiting(WaitingKind.BULK, None, None, None, values)
