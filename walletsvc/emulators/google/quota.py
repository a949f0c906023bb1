"""Requests per second and issuer; each part of a batch is a request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Quota:
    """A bucket per issuer that holds `burst` requests and fills at `rate` a second.

    Without a rate everything passes. Real time counts, since clients pace themselves by it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}
        self.rate: float | None = None
        self.burst = 0.0
        self.passed = 0
        self.refused = 0

    def set(self, rate: float | None, burst: float | None = None) -> None:
        """A new limit with full buckets; a burst that is not given is one second's worth."""
        with self._lock:
            self.rate = rate
            self.burst = max(1.0, rate or 0.0) if burst is None else burst
            self._buckets.clear()
            self.passed = self.refused = 0

    def take(self, issuer_id: str) -> bool:
        """Whether another request of this issuer may pass now."""
        if self.rate is None:
            return True
        with self._lock:
            now = self._clock()
            left, since = self._buckets.get(issuer_id, (self.burst, now))
            left = min(self.burst, left + (now - since) * self.rate)
            passes = left >= 1
            self._buckets[issuer_id] = (left - 1 if passes else left, now)
            self.passed += passes
            self.refused += not passes
            return passes

    def as_json(self) -> dict[str, object]:
        """The limit and what it did so far."""
        return {
            "requests_per_second": self.rate,
            "burst": self.burst if self.rate is not None else None,
            "passed": self.passed,
            "refused": self.refused,
        }
