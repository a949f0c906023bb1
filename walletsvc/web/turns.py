"""Short calls of one process take turns.

Threads that all compute and ask the database in between cost more than one after another: each
wakes into the interpreter's lock and finds what it worked on pushed out of the processor's caches,
and so does the database, whose process for the one connection in use stays warm.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from walletsvc.settings import LOOPBACK

_PATIENCE_SECONDS: Final = 0.1  # several short calls


class Turns:
    """Lets only so many calls through at once, unless one of them is not short: then the others
    pass it.

    Nothing is guarded by it. A call that waits, for a row that another process has locked or for a
    slow client, holds the others up once.
    """

    def __init__(self, at_once: int, patience: float = _PATIENCE_SECONDS) -> None:
        self._turn = threading.Semaphore(at_once)
        self._patience = patience
        self._held_up = False

    @contextmanager
    def next(self) -> Iterator[None]:
        """Wait for a turn, as long as it makes sense, and have it for the time of the block."""
        mine = self._turn.acquire(timeout=0 if self._held_up else self._patience)
        self._held_up = not mine
        try:
            yield
        finally:
            if mine:
                self._turn.release()


def worth(conninfo: str, *, processes: int, threads: int, cores: int) -> int:
    """How many calls at once are worth it in each of so many web processes of this many threads.

    One where there is a process for each core, since the database needs the same cores meanwhile.
    Fewer processes have more. All threads where the database is elsewhere, by its address: whoever
    waits for it leaves the core idle.
    """
    host = str(conninfo_to_dict(conninfo).get("host") or "")
    if host not in ("", *LOOPBACK) and not host.startswith(("/", "@")):
        return threads
    return 1 if processes >= cores else min(1 + cores // processes, threads)
