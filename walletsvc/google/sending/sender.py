"""The sender to Google: looks what is due, and wakes the threads that carry it.

Any number of senders may run at once, on any host: rows, rate and breaker are in the database.
One thread of each carries only what is urgent, so that somebody at a till never waits behind a
batch of a broadcast that Google is slow to answer.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy.exc import OperationalError

from walletsvc.core.clock import Clock
from walletsvc.google import breaker
from walletsvc.google.breaker import Standing
from walletsvc.google.client import GoogleClient
from walletsvc.google.due import LEASE
from walletsvc.google.limiter import Limiter
from walletsvc.google.planning import DOUBT
from walletsvc.google.sending.classes import Classes
from walletsvc.google.sending.courier import Courier, Setup
from walletsvc.google.sending.trouble import Trouble
from walletsvc.google.wanted import House
from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

_LOOK_SECONDS: Final = 0.01
_EVERYTHING: Final = (Lane.INTERACTIVE, Lane.BULK)


class GoogleSender:
    """Brings Google's classes and objects up to date and sends messages."""

    def __init__(
        self,
        database: Database,
        client: GoogleClient,
        limiter: Limiter,
        house: House,
        *,
        clock: Clock,
        lease: timedelta = LEASE,
        doubt: timedelta = DOUBT,
        couriers: int = 3,
        rng: random.Random | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """`couriers` is how many batches may be under way at once, at least two: one for what is
        urgent alone; `doubt` must be far longer than `client` waits for an answer. Once `stop`
        is set nothing new is asked."""
        rng = rng or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._database = database
        self._clock = clock
        self._house = house
        self._stop = stop or threading.Event()
        self.setup = Setup(
            database,
            client,
            limiter,
            house,
            clock,
            lease,
            doubt,
            rng,
            Trouble(database, clock, rng),
            self._stop,
            missing_class=lambda: self.classes.wake(),
        )
        self.classes = Classes(self.setup)
        self.couriers = [Courier(self.setup, (Lane.INTERACTIVE,))] + [
            Courier(self.setup, _EVERYTHING) for _ in range(max(couriers, 2) - 1)
        ]

    def run(self, wait: Callable[[float], object], sweep_seconds: float) -> None:
        """Send until told to stop, then finish what is under way; sleeps in `wait`, which a
        signal may end, between two looks."""
        self.classes.start()
        for courier in self.couriers:
            courier.start()
        self.classes.wake()
        try:
            while not self._stop.is_set():
                try:
                    self._look()
                except OperationalError as error:
                    said = str(error.orig).strip()
                    log.warning("the queue for Google cannot be reached", error=said)
                    self._stop.wait(sweep_seconds)
                    continue
                # Signals may come by the thousand.
                self._stop.wait(_LOOK_SECONDS)
                if not self._stop.is_set():
                    rest = self.setup.trouble.rest_seconds()
                    woken = wait(sweep_seconds if rest is None else min(sweep_seconds, rest))
                    if woken:
                        self.classes.wake()
        finally:
            self.close()

    def drain(self) -> int:
        """Send what is due now, in this thread; returns how many calls left."""
        before = sum(courier.sent for courier in self.couriers)
        self.classes.work()
        while any(courier.carry() for courier in self.couriers):
            pass
        return sum(courier.sent for courier in self.couriers) - before

    def close(self) -> None:
        """Finish what is under way and hang up."""
        self._stop.set()
        for courier in self.couriers:
            courier.join()
        self.classes.join()
        self.setup.client.close()

    def _look(self) -> None:
        with self._database.read_tx() as session:
            standing = breaker.standing(session, self._house.issuer_id, self._clock())
        if standing is None or not self.setup.trouble.may_begin(standing):
            return
        if standing.announcements:
            self.classes.wake()
        for courier in self.couriers:
            if _concerns(standing, courier):
                courier.wake()


def _concerns(standing: Standing, courier: Courier) -> bool:
    return standing.urgent or (standing.bulk and Lane.BULK in courier.lanes)
