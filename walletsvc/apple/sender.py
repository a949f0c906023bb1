"""The process that tells phones: claims pushes, sends them, settles what Apple answered.

It is a process of its own because a busy thread beside it would slow it down manyfold. Any
number of senders may run at once. Interactive pushes go between two batches of bulk ones,
and a bulk batch is cut to what leaves in well under a second.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.exc import OperationalError

from walletsvc.apple.apns import ApnsClient
from walletsvc.apple.pushes import Outcome, PushRequest
from walletsvc.apple.queue import Claimed, Settlement, claim, forget_devices, settle
from walletsvc.apple.rules import Action, Verdict, backoff, verdict
from walletsvc.core.clock import Clock
from walletsvc.core.errors import ConfigurationError
from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

# A bulk batch is claimed to last so long, and cut off when it lasts much longer, because an
# interactive push may be waiting behind it.
_BATCH_SECONDS: Final = 0.4
_CUT_OFF_SECONDS: Final = 1.0
_SMALLEST_BATCH: Final = 100
# No push starts later in its lease: the longest request (30 s) must still fit behind it.
_LEASE_SHARE: Final = 0.25

# How long a pass type rests: after a broken connection, and after a configuration fault.
_FIRST_REST: Final = timedelta(milliseconds=250)
_LONGEST_REST: Final = timedelta(minutes=1)
_FIRST_STOP: Final = timedelta(seconds=30)
_LONGEST_STOP: Final = timedelta(minutes=15)


@dataclass
class _Channel:
    """One pass type: its connection, and until when it is left alone."""

    client: ApnsClient | None = None
    rests: int = 0
    until: datetime | None = None


class _Batch:
    """One claim on its way: what was decided so far and whether to go on feeding."""

    def __init__(self, deadline: float, halted: Callable[[], bool]) -> None:
        self.settlement = Settlement()
        self.answers: Counter[str] = Counter()
        self.sent = 0
        self._deadline = deadline
        self._halted = halted

    def feed(self, waiting: list[Claimed], flying: dict[int, Claimed]) -> Iterator[PushRequest]:
        """Hand pushes to the client one by one; what stays in `waiting` was never tried."""
        while waiting and not self._halted() and time.monotonic() < self._deadline:
            push = waiting.pop()
            flying[push.ids[0]] = push
            yield PushRequest(push.ids[0], push.token, push.topic)


class Sender:
    """Sends the pushes of all pass types."""

    def __init__(
        self,
        database: Database,
        *,
        client_for: Callable[[int], ApnsClient],
        clock: Clock,
        lease: timedelta = timedelta(seconds=60),
        batch: int = 2000,
        rng: random.Random | None = None,
    ) -> None:
        """`client_for` makes a client for a pass type id (the row's); the sender keeps it and
        closes it. It may raise ConfigurationError, which stops that pass type alone.
        `batch` is the most rows that one claim takes."""
        self._database = database
        self._client_for = client_for
        self._clock = clock
        self._lease = lease
        self._batch = batch
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._channels: dict[int, _Channel] = {}
        self._bulk_limit = batch
        self._stop = threading.Event()

    def run_once(self) -> int:
        """Claim and send one batch of each lane, the interactive one first; returns the
        number of pushes that left."""
        return self._run_lane(Lane.INTERACTIVE, self._batch) + self._run_lane(
            Lane.BULK, self._bulk_limit
        )

    def run(
        self, stop: threading.Event, wait: Callable[[float], object], sweep_seconds: float
    ) -> None:
        """Send until `stop`, then finish what is in flight; sleeps in `wait`, which a signal
        may end, when nothing is due."""
        self._stop = stop
        try:
            while not stop.is_set():
                try:
                    busy = self.run_once()
                except OperationalError as error:
                    # Claimed rows come back when their lease ends.
                    log.warning("the push queue cannot be reached", error=str(error.orig).strip())
                    stop.wait(sweep_seconds)
                    continue
                if not busy:
                    wait(sweep_seconds)
        finally:
            self.close()

    def close(self) -> None:
        """Close all connections."""
        for channel in self._channels.values():
            self._hang_up(channel)

    def _run_lane(self, lane: Lane, limit: int) -> int:
        if self._stop.is_set():
            return 0
        now = self._clock()
        resting = [id_ for id_, c in self._channels.items() if c.until and c.until > now]
        started = time.monotonic()
        with self._database.write_tx() as session:
            claimed = claim(session, lane, now=now, lease=self._lease, limit=limit, resting=resting)
        if not claimed:
            return 0
        deadline = started + self._lease.total_seconds() * _LEASE_SHARE
        if lane is Lane.BULK:
            deadline = min(deadline, started + _CUT_OFF_SECONDS)
        groups: dict[int, list[Claimed]] = {}
        for push in reversed(claimed):  # fed from the end: the oldest leaves first
            groups.setdefault(push.pass_type_id, []).append(push)
        sent = 0
        for pass_type_id, pushes in groups.items():
            sent += self._send(lane, pass_type_id, pushes, deadline)
        if lane is Lane.BULK and len(claimed) >= limit // 2:
            self._adapt(sent, limit, time.monotonic() - started)
        return sent

    def _adapt(self, sent: int, limit: int, seconds: float) -> None:
        """Let the next bulk batch last as long as an interactive push may wait."""
        fitting = int(sent / seconds * _BATCH_SECONDS)
        # At most doubling: one lucky batch must not make the next one last for seconds.
        fitting = min(fitting, limit * 2)
        self._bulk_limit = min(max(fitting, _SMALLEST_BATCH), self._batch)

    def _send(self, lane: Lane, pass_type_id: int, waiting: list[Claimed], deadline: float) -> int:
        """Send the claimed pushes of one pass type and settle them."""
        started = time.monotonic()
        channel = self._channels.setdefault(pass_type_id, _Channel())
        worst: list[tuple[Outcome, Verdict]] = []
        batch = _Batch(deadline, lambda: bool(worst) or self._stop.is_set())
        flying: dict[int, Claimed] = {}
        debug = log.is_enabled_for(logging.DEBUG)
        try:
            if channel.client is None:
                channel.client = self._client_for(pass_type_id)
            for outcome in channel.client.send(batch.feed(waiting, flying)):
                decided = verdict(outcome)
                self._decide(batch, flying.pop(outcome.push.key), outcome, decided)
                if decided.rest:
                    worst.append((outcome, decided))
                if debug:
                    _trace(outcome, decided)
        except ConfigurationError as error:
            self._stop_channel(pass_type_id, channel, error.detail)
        else:
            self._after(pass_type_id, channel, worst, batch.sent)
        for push in (*waiting, *flying.values()):
            batch.settlement.release(push)
        self._settle(batch)
        log.info(
            "pushes",
            lane=lane.name.lower(),
            pass_type_id=pass_type_id,
            seconds=round(time.monotonic() - started, 3),
            put_back=len(waiting) + len(flying),
            **batch.answers,
        )
        return batch.sent

    def _decide(self, batch: _Batch, push: Claimed, outcome: Outcome, decided: Verdict) -> None:
        """Note what the verdict means for the rows of this push."""
        batch.sent += 1
        action = decided.action
        batch.answers[action] += 1
        settlement = batch.settlement
        if action is Action.DONE:
            settlement.delete(push)
            return
        now = self._clock()
        later = now + max(backoff(push.attempts, self._rng), decided.at_least)
        match action:
            case Action.RETRY:
                settlement.postpone(push, later)
            case Action.STOP_CHANNEL:
                settlement.release(push)
            case Action.DROP_TOKEN:
                settlement.forget(push, None, later)
            case Action.UNREGISTERED:
                # Without Apple's time, what the device said since our claim still counts.
                settlement.forget(push, decided.since or push.claimed_at, later)
            case Action.REPORT:
                log.error("Apple refused a push as malformed", **_answer(outcome))
                settlement.delete(push)

    def _settle(self, batch: _Batch) -> None:
        if batch.settlement.forgotten:
            with self._database.write_tx() as session:
                batch.answers["devices_forgotten"] = forget_devices(session, batch.settlement)
        with self._database.write_tx() as session:
            settle(session, batch.settlement, now=self._clock())

    def _after(
        self,
        pass_type_id: int,
        channel: _Channel,
        worst: list[tuple[Outcome, Verdict]],
        sent: int,
    ) -> None:
        """Let the channel rest when something was wrong with it as a whole."""
        if not worst:
            if sent:
                channel.rests, channel.until = 0, None
            return
        stops = [outcome for outcome, decided in worst if decided.action is Action.STOP_CHANNEL]
        if stops:
            answer = _answer(stops[0])
            self._stop_channel(pass_type_id, channel, answer["reason"] or answer["status"])
            return
        pause = self._rest(channel, _FIRST_REST, _LONGEST_REST)
        log.warning(
            "the push connection rests",
            pass_type_id=pass_type_id,
            seconds=round(pause.total_seconds(), 3),
            **_answer(worst[0][0]),
        )

    def _stop_channel(self, pass_type_id: int, channel: _Channel, reason: object) -> None:
        pause = self._rest(channel, _FIRST_STOP, _LONGEST_STOP)
        log.error(
            "pushes of a pass type are stopped: put its certificate or settings right",
            pass_type_id=pass_type_id,
            reason=reason,
            next_try_seconds=round(pause.total_seconds()),
        )

    def _rest(self, channel: _Channel, first: timedelta, longest: timedelta) -> timedelta:
        """Hang up and leave the channel alone, longer each time until something works."""
        self._hang_up(channel)
        channel.rests += 1
        pause = backoff(channel.rests, self._rng, first=first, longest=longest)
        channel.until = self._clock() + pause
        return pause

    @staticmethod
    def _hang_up(channel: _Channel) -> None:
        """Close the connection; the next one is made with the certificate of that day."""
        if channel.client is not None:
            channel.client.close()
            channel.client = None


def _answer(outcome: Outcome) -> dict[str, object]:
    """The part of an outcome that may be logged: no token."""
    return {
        "status": outcome.status,
        "reason": outcome.reason or outcome.transport_error,
        "apns_id": outcome.apns_id,
        "topic": outcome.push.topic,
    }


def _trace(outcome: Outcome, decided: Verdict) -> None:
    log.debug("push", action=str(decided.action), **_answer(outcome))
