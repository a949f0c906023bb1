"""Short calls of one process take turns.

Threads that all compute and ask the database in between cost more than one after another: each
wakes into the interpreter's lock and finds what it worked on pushed out of the processor's caches,
and so does the database, whose process for the one connection in use stays warm.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_PATIENCE_SECONDS: Final = 0.1  # many short calls


class Turns:
    """Lets only so many calls through at once, in their order, unless nothing moves: when no turn
    came or ended for a while, whoever waits or comes passes those who have one.

    Nothing is guarded by it, so that a call may wait for whatever it likes.
    """

    def __init__(self, at_once: int, patience: float = _PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._lock = threading.Lock()  # of all below
        self._free = at_once
        self._waiting: deque[threading.Lock] = deque()  # each is opened when its turn comes
        self._moved = time.monotonic()

    @contextmanager
    def next(self) -> Iterator[None]:
        """Wait for a turn, as long as it makes sense, and have it for the time of the block."""
        mine = self._take()
        try:
            yield
        finally:
            if mine:
                self._give_back()

    def _take(self) -> bool:
        """Whether it became our turn; False: we pass."""
        with self._lock:
            if self._free:
                self._free -= 1
                self._moved = time.monotonic()
                return True
            opened = threading.Lock()
            opened.acquire()
            self._waiting.append(opened)
        while not opened.acquire(timeout=max(self._moved + self._patience - time.monotonic(), 0)):
            with self._lock:
                if self._stands_still() and opened in self._waiting:
                    self._waiting.remove(opened)
                    return False
        return True

    def _stands_still(self) -> bool:
        return self._moved + self._patience <= time.monotonic()

    def _give_back(self) -> None:
        with self._lock:
            self._moved = time.monotonic()
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


def worth(*, beside: bool, processes: int, threads: int, cores: int) -> int:
    """How many calls at once are worth it in each of so many web processes of this many threads.

    One where there is a process for each core, since the database `beside` needs the same cores
    meanwhile. Fewer processes have more. All threads where the database is elsewhere: whoever
    waits for it leaves the core idle.
    """
    if not beside:
        return threads
    return 1 if processes >= cores else min(1 + cores // processes, threads)
