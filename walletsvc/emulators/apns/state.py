"""What all connections of an emulator share: devices, armed failures, settings, the log."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from dataclasses import replace
from typing import Any, Final, Protocol

import orjson

from walletsvc.core.clock import Clock, utcnow
from walletsvc.emulators.apns.answers import (
    STATUS_BY_REASON,
    Device,
    Request,
    Verdict,
    refusal,
)
from walletsvc.emulators.apns.faults import Fault, Faults
from walletsvc.emulators.apns.journal import Journal

DEFAULT_STREAMS: Final = 100
# The log shows neither HTTP/2's own fields nor anything that could be a secret.
_NOT_LOGGED: Final = frozenset({":scheme", ":authority", "authorization", "cookie"})


class Live(Protocol):
    """A connection that can be told something from outside."""

    @property
    def gone(self) -> asyncio.Event:
        """Set once the connection is lost."""

    def announce_limit(self, limit: int) -> None:
        """Tell the client how many streams it may have open."""

    def go_away(self, reason: str) -> None:
        """Accept no more streams."""

    def release(self) -> None:
        """End it if it is half open."""


class State:
    """One emulator's memory; everything happens in one event loop, so nothing is locked."""

    def __init__(self, journal: Journal | None = None, clock: Clock = utcnow) -> None:
        self.journal = Journal(clock=clock) if journal is None else journal
        self.faults = Faults()
        self.devices: dict[str, Device] = {}
        self.connections: set[Live] = set()
        self.max_concurrent_streams = DEFAULT_STREAMS
        self._accepted: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._clock = clock

    def now_ms(self) -> int:
        """The present in milliseconds since 1970, as Apple writes times."""
        return int(self._clock().timestamp() * 1000)

    def accept(self, topic: str | None) -> int:
        """Count a new connection, by what its certificate covers; returns its number."""
        self._accepted[topic or ""] += 1
        return self._accepted.total()

    def lose(self, topic: str | None) -> None:
        """Count a connection that ended."""
        self._lost[topic or ""] += 1

    def connections_as_json(self) -> dict[str, Any]:
        """How many connections were accepted so far and are open, in all and by topic."""
        return {
            "accepted": self._accepted.total(),
            "open": self._accepted.total() - self._lost.total(),
            "topics": {
                topic: {"accepted": count, "open": count - self._lost[topic]}
                for topic, count in sorted(self._accepted.items())
            },
        }

    def release(self) -> None:
        """End the connections that are half open."""
        for connection in tuple(self.connections):
            connection.release()

    def limit_streams(self, limit: int) -> None:
        """Change the limit of concurrent streams, for live connections too."""
        self.max_concurrent_streams = limit
        for connection in self.connections:
            connection.announce_limit(limit)

    def mint(self, topic: str | None) -> str:
        """A new device token, valid for one topic or for any."""
        token = secrets.token_hex(32)
        self.devices[token] = Device(topic)
        return token

    def unregister(self, token: str, timestamp: int | None = None) -> int:
        """From now on (or from `timestamp`, in ms) this device is gone; returns since when."""
        gone_at = self.now_ms() if timestamp is None else timestamp
        self.devices[token] = replace(self.devices.get(token, Device()), gone_at=gone_at)
        return gone_at

    def fail(self, fault: Fault) -> Verdict:
        """The refusal that an armed reason stands for."""
        if STATUS_BY_REASON[fault.fault] != 410:
            return refusal(fault.fault)
        return refusal(fault.fault, self.now_ms() if fault.timestamp is None else fault.timestamp)

    def record(
        self,
        request: Request,
        certificate_topic: str | None,
        connection: int,
        verdict: Verdict | None,
        apns_id: str | None,
        fault: Fault | None,
    ) -> None:
        """Log a request with what it was answered; no verdict means that it got no answer."""
        headers = request.headers
        self.journal.add(
            request.token,
            {
                "token": request.token,
                "topic": headers.get("apns-topic", certificate_topic),
                "status": None if verdict is None else verdict.status,
                "reason": None if verdict is None else verdict.reason,
                "apns_id": apns_id,
                "headers": {k: v for k, v in headers.items() if k not in _NOT_LOGGED},
                "payload": _payload(request.body),
                "fault": None if fault is None else fault.fault,
                "certificate": certificate_topic,
                "connection": connection,
                "method": request.method,
                "path": request.path,
            },
        )


def _payload(body: bytes) -> Any:
    """A payload as the log shows it: JSON as it is, anything else as text, nothing as null."""
    if not body:
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")
