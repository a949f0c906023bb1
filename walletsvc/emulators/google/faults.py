"""Failures that were armed to happen to the next answers or callbacks."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from walletsvc.core.errors import InputError
from walletsvc.emulators.google.errors import GLOBAL, WALLET, ApiError

ANSWERS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "400": (400, "invalidResource", WALLET),
        "401": (401, "authError", GLOBAL),
        "permissionDenied": (403, "permissionDenied", WALLET),
        "quotaExceeded": (403, "quotaExceeded", WALLET),
        "rateLimitExceeded": (403, "rateLimitExceeded", GLOBAL),
        "404": (404, "resourceNotFound", WALLET),
        "429": (429, "rateLimitExceeded", GLOBAL),
        "500": (500, "backendError", GLOBAL),
        "502": (502, "backendError", GLOBAL),
        "503": (503, "backendError", GLOBAL),
        "504": (504, "backendError", GLOBAL),
    }
)
TRANSPORT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "slow": "the right answer, `seconds` late",
        "drop_before": "the connection is cut, nothing was applied",
        "drop_after": "the connection is cut, everything was applied",
        "hang_before": "no answer for `seconds`, nothing is applied",
        "hang_after": "everything is applied, then no answer for `seconds`",
    }
)
CALLBACKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "callback_duplicate": "a callback is delivered twice, with the same nonce",
        "callback_stale": "a callback whose message has expired",
        "callback_bad_signature": "a callback whose message was signed by another key",
        "callback_wrong_issuer": "a callback that is signed for another issuer",
        "callback_lost": "a callback is never delivered",
    }
)
DEFAULT_SECONDS: Final[Mapping[str, float]] = MappingProxyType({"slow": 2.0})
HANG_SECONDS: Final = 600.0
# What a fault without a `resource` never befalls.
_NOT_API: Final = ("token", "save", "keys", "batch", "")


@dataclass(frozen=True, slots=True)
class Target:
    """What a fault is compared with: one call, which may be a part of a batch."""

    method: str
    resource: str
    id: str = ""
    part: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure, how often it is still to happen, and to what.

    `resource` is a collection as in paths (`loyaltyObject`), or `batch`, `token`, `save`, `keys`,
    `jwt`, `issuer`, `permissions`; `part` limits it to parts of batches or to calls outside.
    `applied` makes an error answer to a call that was applied nevertheless.
    """

    fault: str
    count: int = 1
    method: str | None = None
    resource: str | None = None
    id: str | None = None
    part: bool | None = None
    seconds: float | None = None
    applied: bool = False

    def befalls(self, target: Target) -> bool:
        """Whether this call is meant."""
        if self.resource is None and target.resource in _NOT_API:
            return False
        return (
            self.resource in (None, target.resource)
            and self.method in (None, target.method)
            and self.id in (None, target.id)
            and self.part in (None, target.part)
        )

    @property
    def delay(self) -> float:
        """How long it takes, in seconds."""
        return (
            DEFAULT_SECONDS.get(self.fault, HANG_SECONDS)
            if self.seconds is None
            else (self.seconds)
        )

    def error(self) -> ApiError:
        """The answer that it stands for."""
        status, reason, domain = ANSWERS[self.fault]
        return ApiError(status, reason, f"Emulated failure {self.fault}.", domain=domain)

    def as_json(self) -> dict[str, object]:
        """What `GET /_/faults` shows: only what limits it or has a meaning for it."""
        shown = {
            "method": self.method,
            "resource": self.resource,
            "id": self.id,
            "part": self.part,
            "seconds": self.seconds,
            "applied": self.applied or None,
        }
        return {
            "fault": self.fault,
            "count": self.count,
            **{key: value for key, value in shown.items() if value is not None},
        }


class Faults:
    """What is armed, first come first served; each answer takes at most one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []
        self._released = threading.Event()

    def arm(self, fault: Fault) -> None:
        """Add a failure behind those already armed; raises InputError for an unknown name."""
        if not any(fault.fault in known for known in (ANSWERS, TRANSPORT, CALLBACKS)):
            names = ", ".join([*ANSWERS, *TRANSPORT, *CALLBACKS])
            raise InputError(f"fault: {fault.fault!r} is not known; known are {names}.")
        with self._lock:
            self._armed.append(fault)

    def take_answer(self, target: Target) -> Fault | None:
        """The error answer that befalls this call, counted down."""
        return self._take(ANSWERS, (target,)) if self._armed else None

    def take_transport(self, targets: Iterable[Target]) -> Fault | None:
        """What befalls the connection of an HTTP request that makes these calls."""
        return self._take(TRANSPORT, targets) if self._armed else None

    def take_callback(self) -> Fault | None:
        """What befalls the next callback."""
        return self._take(CALLBACKS, None) if self._armed else None

    def _take(self, names: Mapping[str, object], targets: Iterable[Target] | None) -> Fault | None:
        targets = None if targets is None else list(targets)
        with self._lock:
            for index, fault in enumerate(self._armed):
                if fault.fault not in names:
                    continue
                if targets is not None and not any(map(fault.befalls, targets)):
                    continue
                if fault.count > 1:
                    self._armed[index] = replace(fault, count=fault.count - 1)
                else:
                    del self._armed[index]
                return fault
        return None

    def hold(self, seconds: float) -> None:
        """Let time pass, until the faults are cleared."""
        self._released.wait(seconds)

    def clear(self) -> None:
        """Disarm everything and end what is held."""
        with self._lock:
            self._armed.clear()
            released, self._released = self._released, threading.Event()
        released.set()

    def as_json(self) -> list[dict[str, object]]:
        """What is armed, in the order in which it will happen."""
        with self._lock:
            return [fault.as_json() for fault in self._armed]
