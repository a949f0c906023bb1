"""What the emulator was asked: a bounded log that can be awaited, without secrets.

Entries are kept as they are and rendered when somebody looks, since a load test writes
thousands a second and reads none.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Final

import orjson

from walletsvc.core.clock import Clock, rfc3339, utcnow
from walletsvc.emulators.google.errors import Json

KEPT: Final = 50_000
_SECRET: Final = frozenset({"pin", "totpDetails", "jwt", "initialRotatingBarcodeValues"})
_HIDDEN: Final = "(hidden)"


def without_secrets(value: Any) -> Any:
    """A body as the log shows it: PINs, keys of rotating codes and JWTs are hidden."""
    if isinstance(value, dict):
        return {
            key: _HIDDEN if key in _SECRET else without_secrets(item) for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value


class Journal:
    """The last `kept` requests in order of arrival, numbered from 1."""

    def __init__(self, kept: int = KEPT, clock: Clock = utcnow) -> None:
        self._entries: deque[Json] = deque(maxlen=kept)
        self._clock = clock
        self._changed = threading.Condition()
        self._last = 0
        self._closed = False

    @property
    def last(self) -> int:
        """The number of the newest entry, 0 when nothing came yet."""
        return self._last

    def add(self, entry: Json, body: bytes = b"") -> None:
        """Number, date and keep an entry with the body that came."""
        entry["_at"], entry["_body"] = self._clock(), body
        with self._changed:
            self._last += 1
            entry["seq"] = self._last
            self._entries.append(entry)
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def after(self, seq: int = 0, limit: int | None = None, wait: float = 0) -> list[Json]:
        """Entries newer than `seq`, oldest first; waits up to `wait` seconds for the first."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._closed or self._last > seq, wait)
            new: list[Json] = []
            for entry in reversed(self._entries):
                if entry["seq"] <= seq:
                    break
                new.append(entry)
        new.reverse()
        return [_shown(entry) for entry in new[:limit]]


def _shown(entry: Json) -> Json:
    shown = {key: value for key, value in entry.items() if not key.startswith("_")}
    body: Any = None
    if entry["_body"]:
        try:
            body = without_secrets(orjson.loads(entry["_body"]))
        except orjson.JSONDecodeError:
            body = "(not JSON)"
    return {"seq": shown.pop("seq"), "at": rfc3339(entry["_at"]), **shown, "body": body}
