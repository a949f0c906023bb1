"""What the emulator received: a bounded log, by time and by device token, that can be awaited."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

import orjson

from walletsvc.core.clock import Clock, rfc3339, utcnow

KEPT: Final = 100_000

# One received push: its number and its JSON, rendered once so that reading the log is joining.
_Line = tuple[int, bytes]


class Journal:
    """The last `kept` requests in order of arrival, numbered from 1."""

    def __init__(self, kept: int = KEPT, clock: Clock = utcnow) -> None:
        self._kept = kept
        self._clock = clock
        self._last = 0
        self._lines: deque[tuple[int, bytes, str]] = deque()
        self._by_token: dict[str, list[_Line]] = {}
        self._waiting: dict[str | None, set[asyncio.Future[None]]] = {}

    @property
    def last(self) -> int:
        """The number of the newest entry, 0 when nothing came yet."""
        return self._last

    def add(self, token: str, entry: Mapping[str, Any]) -> int:
        """Number, date and keep an entry; wakes whoever waits for it. Returns its number."""
        self._last += 1
        # Copied, since orjson hands out its whole buffer of 4 KiB.
        line = bytes(
            memoryview(orjson.dumps({"seq": self._last, "at": rfc3339(self._clock()), **entry}))
        )
        self._lines.append((self._last, line, token))
        self._by_token.setdefault(token, []).append((self._last, line))
        if len(self._lines) > self._kept:
            self._forget_oldest()
        for key in (token, None):
            for future in self._waiting.pop(key, ()):
                if not future.done():
                    future.set_result(None)
        return self._last

    def _forget_oldest(self) -> None:
        _, _, token = self._lines.popleft()
        of_token = self._by_token[token]
        # A list, though it shifts: a deque for each of 100,000 devices takes ten times the memory.
        del of_token[0]
        if not of_token:
            del self._by_token[token]

    def after(self, seq: int, token: str | None = None, limit: int | None = None) -> list[bytes]:
        """The JSON of entries newer than `seq`, oldest first, at most `limit` of them.

        Walks back from the newest, so that the cost is that of what is new.
        """
        lines: Iterable[tuple[Any, ...]] = reversed(
            self._lines if token is None else self._by_token.get(token, [])
        )
        new: list[bytes] = []
        for line in lines:
            if line[0] <= seq:
                break
            new.append(line[1])
        new.reverse()
        return new if limit is None else list(islice(new, limit))

    async def wait(self, token: str | None, seconds: float) -> None:
        """Return when the next entry (of this token) is added, or when the time is over."""
        future = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(token, set())
        waiting.add(future)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(future, seconds)
        finally:
            waiting.discard(future)
            if not waiting and self._waiting.get(token) is waiting:
                del self._waiting[token]
