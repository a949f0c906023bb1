"""Callbacks: signed messages to the issuer that a pass was saved or removed, until they arrive."""

from __future__ import annotations

import heapq
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
import requests

from walletsvc.core.clock import rfc3339, utcnow
from walletsvc.emulators.google.errors import Json
from walletsvc.emulators.google.faults import Fault, Faults
from walletsvc.emulators.google.signing import Signer

# Pauses before another try, in seconds; after the last one the callback is given up.
PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
VALID_SECONDS: Final = 3600
KEPT: Final = 20_000
_PATIENCE: Final = 5.0


@dataclass(order=True, slots=True)
class _Delivery:
    """A callback on its way; ordered by when it is due."""

    due: float
    number: int
    url: str = field(compare=False)
    body: bytes = field(compare=False)
    entry: Json = field(compare=False)
    tries: int = field(default=0, compare=False)


class Callbacks:
    """Sends from a thread of its own, one after the other; a failed one comes again later."""

    def __init__(self, signer: Signer, faults: Faults, pauses: Sequence[float] = PAUSES) -> None:
        self._signer = signer
        self._faults = faults
        self._pauses = pauses
        self._changed = threading.Condition()
        self._waiting: list[_Delivery] = []
        self._sending = False
        self._closed = False
        self._number = 0
        self._log: deque[Json] = deque(maxlen=KEPT)
        self._thread = threading.Thread(target=self._run, name="google-callbacks", daemon=True)
        self._thread.start()

    def fire(self, url: str, class_id: str, object_id: str, event: str, count: int) -> None:
        """Send one; `event` is `save` or `del`, `count` how many users hold the object."""
        fault = self._faults.take_callback()
        named = fault.fault if fault else ""
        seconds = -VALID_SECONDS if named == "callback_stale" else VALID_SECONDS
        message = {
            "classId": class_id,
            "objectId": object_id,
            "eventType": event,
            "expTimeMillis": int((time.time() + seconds) * 1000),
            "count": count,
            "nonce": secrets.token_hex(16),
        }
        issuer_id = "1" if named == "callback_wrong_issuer" else class_id.partition(".")[0]
        envelope = self._signer.envelope(
            issuer_id, orjson.dumps(message).decode(), forged=named == "callback_bad_signature"
        )
        self._schedule(url, message, envelope, fault)

    def _schedule(self, url: str, message: Json, envelope: Json, fault: Fault | None) -> None:
        named = fault.fault if fault else None
        with self._changed:
            for _ in range({"callback_duplicate": 2, "callback_lost": 0}.get(named or "", 1)):
                self._number += 1
                entry: Json = {
                    "seq": self._number,
                    "at": rfc3339(utcnow()),
                    "url": url,
                    **message,
                    "fault": named,
                    "tries": 0,
                    "status": None,
                    "done": False,
                }
                self._log.append(entry)
                delivery = _Delivery(
                    time.monotonic(), self._number, url, orjson.dumps(envelope), entry
                )
                heapq.heappush(self._waiting, delivery)
            self._changed.notify_all()

    def log(self) -> list[Json]:
        """Every callback, newest last: its message, how often it was tried, the last status."""
        with self._changed:
            return [dict(entry) for entry in self._log]

    def pending(self) -> int:
        """How many have not arrived and were not given up."""
        with self._changed:
            return len(self._waiting) + self._sending

    def wait(self, seconds: float = 10.0) -> bool:
        """Until nothing is on its way; whether that came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._sending, seconds)

    def close(self) -> None:
        """Stop sending; what did not arrive is lost."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while (delivery := self._next()) is not None:
                self._deliver(session, delivery)

    def _next(self) -> _Delivery | None:
        """The next one that is due; None when the emulator stops."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                if self._waiting and self._waiting[0].due <= now:
                    self._sending = True
                    return heapq.heappop(self._waiting)
                self._changed.wait(self._waiting[0].due - now if self._waiting else None)
        return None

    def _deliver(self, session: requests.Session, delivery: _Delivery) -> None:
        try:
            with session.post(
                delivery.url,
                data=delivery.body,
                headers={"Content-Type": "application/json"},
                timeout=_PATIENCE,
                allow_redirects=False,
            ) as answer:
                status: int | str = answer.status_code
        except requests.RequestException as error:
            status = type(error).__name__
        arrived = isinstance(status, int) and 200 <= status < 300
        with self._changed:
            delivery.tries += 1
            delivery.entry.update(tries=delivery.tries, status=status)
            if arrived or delivery.tries > len(self._pauses):
                delivery.entry["done"] = True
            else:
                delivery.due = time.monotonic() + self._pauses[delivery.tries - 1]
                heapq.heappush(self._waiting, delivery)
            self._sending = False
            self._changed.notify_all()
