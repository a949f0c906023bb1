"""Failures that were armed to happen to the next pushes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from walletsvc.core.errors import InputError
from walletsvc.emulators.apns.answers import STATUS_BY_REASON

TRANSPORT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "goaway": "GOAWAY with a JSON reason: this push and later streams are not processed",
        "reset": "RST_STREAM with INTERNAL_ERROR instead of an answer",
        "refuse": "RST_STREAM with REFUSED_STREAM: not processed, safe to send again",
        "close": "the connection is cut without a word",
        "hang": "no answer, ever",
        "silent": "the connection swallows this push and all that follows, and stays open",
        "slow": "the right answer, `seconds` late",
    }
)
DEFAULT_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure and how often it is still to happen.

    `seconds` is the delay of `slow`; `reason` is what GOAWAY says; `timestamp` is since when
    the device is gone according to a 410, in ms since 1970; `token` limits it to one device.
    """

    fault: str
    count: int = 1
    seconds: float = DEFAULT_SECONDS
    reason: str = "Shutdown"
    timestamp: int | None = None
    token: str | None = None

    def as_json(self) -> dict[str, object]:
        """What `GET /_/faults` shows: only what has a meaning for this fault."""
        shown: dict[str, object] = {"fault": self.fault, "count": self.count}
        if self.fault == "slow":
            shown["seconds"] = self.seconds
        if self.fault == "goaway":
            shown["reason"] = self.reason
        if self.timestamp is not None:
            shown["timestamp"] = self.timestamp
        if self.token is not None:
            shown["token"] = self.token
        return shown


class Faults:
    """What is armed, first come first served; each push takes at most one."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def arm(self, fault: Fault) -> None:
        """Add a failure behind those already armed; raises InputError for an unknown name."""
        if fault.fault not in STATUS_BY_REASON and fault.fault not in TRANSPORT:
            known = ", ".join([*TRANSPORT, *sorted(STATUS_BY_REASON)])
            raise InputError(f"fault: {fault.fault!r} is not known; known are {known}.")
        self._armed.append(fault)

    def take(self, token: str) -> Fault | None:
        """The failure that befalls a push to this token now, counted down."""
        for index, fault in enumerate(self._armed):
            if fault.token is None or fault.token == token:
                if fault.count > 1:
                    self._armed[index] = replace(fault, count=fault.count - 1)
                else:
                    del self._armed[index]
                return fault
        return None

    def clear(self) -> None:
        """Disarm everything."""
        self._armed.clear()

    def as_json(self) -> list[dict[str, object]]:
        """What is armed, in the order in which it will happen."""
        return [fault.as_json() for fault in self._armed]
