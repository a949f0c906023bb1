"""The sender: looks what is due, and keeps one channel per pass type at work.

It is a process of its own because a busy thread beside it would slow it down manyfold. Any
number of senders may run at once. One small query per look serves all pass types; the
channels do the rest, each in a thread of its own, so that none waits for another.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy.exc import OperationalError

from walletsvc.apple.apns import ApnsClient
from walletsvc.apple.channels import Standing, standings
from walletsvc.apple.sending.breaker import Breaker
from walletsvc.apple.sending.channel import Channel, Setup
from walletsvc.apple.sending.outbox import Outbox
from walletsvc.core.clock import Clock
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

# What is claimed leaves at once and is answered within seconds: a dead sender's rows need not
# wait long.
LEASE: Final = timedelta(seconds=20)
_LOOK_SECONDS: Final = 0.01
_PAUSE_SECONDS: Final = 1.0


class _Thread:
    """A channel's thread: works when told to, sleeps otherwise."""

    def __init__(self, channel: Channel, stop: threading.Event) -> None:
        self._channel = channel
        self._stop = stop
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="channel", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something to do, or the end has come."""
        self._wake.set()

    def join(self) -> None:
        """Wait until what is in flight is settled."""
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                self._channel.drain()
            except OperationalError as error:
                # Claimed rows come back when their lease ends.
                log.warning("the push queue cannot be reached", error=str(error.orig).strip())
                self._stop.wait(_PAUSE_SECONDS)
            except Exception:
                # One pass type's trouble must not end the others; its rows come back as well.
                log.exception("a push channel failed")
                self._stop.wait(_PAUSE_SECONDS)


class Sender:
    """Sends the pushes of all pass types."""

    def __init__(
        self,
        database: Database,
        *,
        client_for: Callable[[int], ApnsClient],
        clock: Clock,
        lease: timedelta = LEASE,
        most: int = 1000,
        rng: random.Random | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """`client_for` makes a client for a pass type id (the row's); its channel keeps it and
        closes it. It may raise ConfigurationError, which stops that pass type alone.
        `most` is the most rows that one claim takes. Once `stop` is set no push is started."""
        self._database = database
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._stop = stop or threading.Event()
        self._setup = Setup(database, client_for, clock, lease, most, self._stop)
        self._channels: dict[int, Channel] = {}
        self._threads: dict[int, _Thread] = {}

    def look(self) -> list[Channel]:
        """The channels that have something to do now; all others are told how things stand."""
        with self._database.read_tx() as session:
            found = standings(session, self._clock())
        return [channel for channel in map(self._told, found) if channel is not None]

    def run(self, wait: Callable[[float], object], sweep_seconds: float) -> None:
        """Send until told to stop, then finish what is in flight; sleeps in `wait`, which a
        signal may end, between two looks."""
        try:
            while not self._stop.is_set():
                try:
                    busy = self.look()
                except OperationalError as error:
                    log.warning("the push queue cannot be reached", error=str(error.orig).strip())
                    self._stop.wait(sweep_seconds)
                    continue
                for channel in busy:
                    self._thread_of(channel).wake()
                # Signals may come by the thousand.
                self._stop.wait(_LOOK_SECONDS)
                if not self._stop.is_set():
                    wait(min([sweep_seconds, *self._rests()]))
        finally:
            self.close()

    def close(self) -> None:
        """Finish what is in flight and close all connections."""
        self._stop.set()
        for thread in self._threads.values():
            thread.join()
        for channel in self._channels.values():
            channel.close()

    def _told(self, standing: Standing) -> Channel | None:
        """The channel of this standing, if it has something to do."""
        channel = self._channels.get(standing.pass_type_id)
        if channel is None:
            if not (standing.urgent or standing.bulk):
                return None
            channel = self._channels[standing.pass_type_id] = self._new_channel(standing)
        return channel if channel.told(standing) else None

    def _new_channel(self, standing: Standing) -> Channel:
        parts = (self._database, self._clock, self._rng, standing)
        return Channel(self._setup, standing, Breaker(*parts), Outbox(*parts))

    def _thread_of(self, channel: Channel) -> _Thread:
        thread = self._threads.get(channel.pass_type_id)
        if thread is None:
            thread = self._threads[channel.pass_type_id] = _Thread(channel, self._stop)
        return thread

    def _rests(self) -> list[float]:
        """After how many seconds resting channels go on."""
        rests = [channel.rest_seconds() for channel in self._channels.values()]
        return [seconds for seconds in rests if seconds is not None]
