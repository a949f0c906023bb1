"""What has not happened yet: changes, bulk jobs, pushes, and a channel that is shut."""

from __future__ import annotations

from collections.abc import Iterator

from walletsvc.apple.diagnosis.facts import Facts
from walletsvc.passes.timeline.waiting import Waiting, WaitingKind, unpublished


def waiting(facts: Facts) -> Iterator[Waiting]:
    """All that waits for a pass, in the order of the chain."""
    yield from unpublished(facts)
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
