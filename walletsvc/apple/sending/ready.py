"""Pushes that a sender has claimed and not yet started."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from walletsvc.apple.queue import Claimed
from walletsvc.jobs.changes import Lane


@dataclass(frozen=True, slots=True)
class Waiting:
    """A claimed push, its lane, and when its claim is too old to start it."""

    push: Claimed
    lane: Lane
    deadline: float


class Ready:
    """Two queues: what is urgent leaves first, whatever came before."""

    def __init__(self) -> None:
        self._queues: dict[Lane, deque[Waiting]] = {lane: deque() for lane in Lane}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def count(self, lane: Lane) -> int:
        """How many of a lane wait."""
        return len(self._queues[lane])

    def add(self, pushes: Iterable[Claimed], lane: Lane, seconds: float) -> None:
        """Queue what was just claimed; it may be started for so many seconds."""
        deadline = time.monotonic() + seconds
        self._queues[lane].extend(Waiting(push, lane, deadline) for push in pushes)

    def put_first(self, waiting: Waiting) -> None:
        """Queue again what did not leave after all."""
        self._queues[waiting.lane].appendleft(waiting)

    def take(self, lane: Lane) -> Waiting | None:
        """The next of a lane."""
        queue = self._queues[lane]
        return queue.popleft() if queue else None

    def drain(self) -> list[Claimed]:
        """All of it, to be put back."""
        left = [waiting.push for queue in self._queues.values() for waiting in queue]
        for queue in self._queues.values():
            queue.clear()
        return left
