"""What has not happened yet: waiting changes, bulk jobs and pushes, and a channel that is shut."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from walletsvc.apple.diagnosis.facts import Facts


class WaitingKind(enum.StrEnum):
    """What waits, or what holds others up."""

    CHANGE = "change"
    CHANGE_ASIDE = "change-aside"
    BULK = "bulk"
    PUSH = "push"
    CHANNEL = "channel"


@dataclass(frozen=True)
class Waiting:
    """Something that waits since a moment and goes on at `due`, if that is known."""

    kind: WaitingKind
    since: datetime | None
    due: datetime | None
    device: str | None
    values: Mapping[str, Any]


def waiting(facts: Facts) -> Iterator[Waiting]:
    """All that waits for a pass, in the order of the chain."""
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
    if facts.channel != "open":
        yield Waiting(
            WaitingKind.CHANNEL,
            facts.channel_since,
            facts.channel_retry_at,
            None,
            {"state": facts.channel, "reason": facts.channel_reason},
        )
    for device in facts.devices:
        if device.queued is not None:
            queued = device.queued
            values = {"attempts": queued.attempts, "lane": queued.lane.name.lower()}
            yield Waiting(WaitingKind.PUSH, queued.at, queued.due_at, device.label, values)
