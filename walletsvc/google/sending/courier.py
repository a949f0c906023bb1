"""A thread that carries batches to Google: claims what is due, waits its turn, asks, settles."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy.exc import OperationalError

from walletsvc.core.clock import Clock
from walletsvc.google import breaker
from walletsvc.google.breaker import Standing
from walletsvc.google.client import Answer, GoogleClient
from walletsvc.google.limiter import Limiter
from walletsvc.google.models import IssuerState
from walletsvc.google.sending import load as loads
from walletsvc.google.sending.load import Load
from walletsvc.google.sending.trouble import Trouble
from walletsvc.google.sending.woken import Woken
from walletsvc.google.wanted import House
from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

# Nothing leaves later in its lease: the longest request and the settlement must fit behind it.
_LEASE_SHARE: Final = 0.4
_PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Setup:
    """What all threads of a sender share. What was not answered for may still be applied for the
    time of `doubt`; `missing_class` is called when Google turns out not to have a class."""

    database: Database
    client: GoogleClient
    limiter: Limiter
    house: House
    clock: Clock
    lease: timedelta
    doubt: timedelta
    rng: random.Random
    trouble: Trouble
    stop: threading.Event
    missing_class: Callable[[], None] = lambda: None


class Courier(Woken):
    """Carries one batch at a time, of the first of its lanes in which something is due."""

    def __init__(self, setup: Setup, lanes: tuple[Lane, ...]) -> None:
        super().__init__("google-courier")
        self._setup = setup
        self._lanes = lanes
        self.sent = 0

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """What it carries, the urgent first."""
        return self._lanes

    def _run(self) -> None:
        stop = self._setup.stop
        while not stop.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                while not stop.is_set() and self.carry():
                    pass
            except OperationalError as error:
                # Claimed rows come back when their lease ends.
                log.warning("the queue for Google cannot be reached", error=_said(error))
                stop.wait(_PAUSE_SECONDS)
            except Exception:
                log.exception("a courier to Google failed")
                stop.wait(_PAUSE_SECONDS)

    def carry(self) -> bool:
        """Carry one batch; whether there was one, so that more may be due."""
        setup = self._setup
        with setup.database.read_tx() as session:
            standing = breaker.standing(session, setup.house.issuer_id, setup.clock())
        if standing is None or not setup.trouble.may_begin(standing):
            return False
        probing = standing.state is IssuerState.STOPPED
        for lane in self._lanes:
            if not (standing.urgent if lane is Lane.INTERACTIVE else standing.bulk):
                continue
            if probing and not setup.trouble.probe(standing):
                return False
            since = time.monotonic()
            load = self._claim(standing, lane, 1 if probing else setup.limiter.most)
            if len(load):
                return self._deliver(standing, load, since)
            if load.claim.more or load.post.more:
                return True
        return False

    def _claim(self, standing: Standing, lane: Lane, limit: int) -> Load:
        setup = self._setup
        with setup.database.write_tx() as session:
            return loads.take(
                session,
                standing.pass_type_id,
                lane,
                setup.house,
                now=setup.clock(),
                lease=setup.lease,
                limit=limit,
            )

    def _deliver(self, standing: Standing, load: Load, since: float) -> bool:
        setup = self._setup

        def turn(count: int) -> bool:
            left = setup.lease.total_seconds() * _LEASE_SHARE - (time.monotonic() - since)
            return setup.limiter.wait(
                standing.pass_type_id,
                count,
                load.lane,
                clock=setup.clock,
                stop=setup.stop,
                patience=left,
            )

        if not turn(len(load)):
            with setup.database.write_tx() as session:
                loads.put_back(session, load, now=setup.clock())
            return False
        answers = setup.client.batch(load.requests, turn)
        self.sent += len(load)
        self._settle(load, answers)
        setup.trouble.learn(standing, answers)
        return True

    def _settle(self, load: Load, answers: list[Answer]) -> None:
        setup = self._setup
        with setup.database.write_tx() as session:
            settled = loads.settle(
                session, load, answers, setup.rng, now=setup.clock(), doubt=setup.doubt
            )
        if any(outcome.no_class for outcome in settled):
            setup.missing_class()


def _said(error: OperationalError) -> str:
    return str(error.orig).strip()
