"""One pass type's pushes: claimed a few at a time, sent while others are answered, settled.

What is claimed leaves within a fraction of a second, so that a lease can be short and an
interactive push finds little ahead of it. It takes the place before every bulk push that has
not started, and some streams are kept free for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from threading import Event as Flag
from typing import Final

import structlog
from sqlalchemy.exc import OperationalError

from walletsvc.apple.apns import ApnsClient
from walletsvc.apple.channels import Standing
from walletsvc.apple.pushes import Outcome, PushRequest
from walletsvc.apple.queue import claim
from walletsvc.apple.rules import verdict
from walletsvc.apple.sending.breaker import Breaker
from walletsvc.apple.sending.outbox import Outbox
from walletsvc.apple.sending.ready import Ready, Waiting
from walletsvc.core.clock import Clock
from walletsvc.core.errors import ConfigurationError
from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

# A claim takes what leaves in this time, within limits.
_CLAIM_SECONDS: Final = 0.2
_SMALLEST_CLAIM: Final = 100
# No push starts later in its lease: the longest request and the settling must fit behind it.
_LEASE_SHARE: Final = 0.5
# While answers are outstanding: how long to wait for one before looking around.
_LOOK_SECONDS: Final = 0.05
# How soon after a look for the new certificate the next may follow.
_RENEW_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Setup:
    """What all channels of a sender share."""

    database: Database
    client_for: Callable[[int], ApnsClient]
    clock: Clock
    lease: timedelta
    most: int
    stop: Flag


class Channel:
    """Sends the pushes of one pass type over its own connection, in a thread of its own."""

    def __init__(self, setup: Setup, standing: Standing, breaker: Breaker, outbox: Outbox) -> None:
        self._setup = setup
        self._standing = standing
        self._breaker = breaker
        self._outbox = outbox
        self._client: ApnsClient | None = None
        self._successor: ApnsClient | None = None  # with the certificate that takes over
        self._renewed_at = 0.0
        self._ready = Ready()
        self._flying: dict[int, Waiting] = {}
        self._look = dict.fromkeys(Lane, True)  # whether more may be due
        self._fitting = _SMALLEST_CLAIM
        self._claimed_at = 0.0
        self._connected = True  # to the database
        self._sent = 0
        self._sent_before = 0

    def told(self, standing: Standing) -> bool:
        """Take note of how things stand; whether there is something to do."""
        self._standing = standing
        self._breaker.told(standing)
        if standing.urgent:
            self._look[Lane.INTERACTIVE] = True
        if standing.bulk:
            self._look[Lane.BULK] = True
        return (standing.urgent or standing.bulk) and self._breaker.may_begin()

    @property
    def pass_type_id(self) -> int:
        """Whose pushes these are."""
        return self._standing.pass_type_id

    def rest_seconds(self) -> float | None:
        """How long it still rests; None when it does not."""
        until = self._breaker.until
        seconds = (until - self._setup.clock()).total_seconds() if until else 0
        return seconds if seconds > 0 else None

    def drain(self) -> int:
        """Send what is due until nothing is, or the channel has to stop; returns how many
        pushes left. What was claimed and did not leave is put back."""
        before = self._sent
        self._outbox.write()  # what a lost database left over
        self._connected = True
        if not self._breaker.begin():
            return 0
        try:
            self._connect().check_validity()
            self._exchange()
        except ConfigurationError as error:
            self._breaker.misconfigured(error.detail)
        finally:
            self._outbox.release(waiting.push for waiting in self._flying.values())
            self._outbox.release(self._ready.drain())
            if self._flying:
                self.hang_up()  # something broke in the middle
                self._flying.clear()
        if self._breaker.conclude():
            self.hang_up()
        self._outbox.write()
        return self._sent - before

    def close(self) -> None:
        """Hang up for good."""
        self.hang_up()
        if self._successor is not None:
            self._successor.close()
        self._outbox.close()

    def hang_up(self) -> None:
        """Close the connection; the next one is made with the certificate of that day."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connect(self) -> ApnsClient:
        if self._client is None:
            self._client = self._successor or self._setup.client_for(self._standing.pass_type_id)
            self._successor = None
            self._renewed_at = time.monotonic()
        return self._client

    def _exchange(self) -> None:
        while True:
            if self._client and not self._client.in_flight and self._outdated(self._client):
                self.hang_up()
            if self._going_on():
                self._claim_more()
                self._feed(self._connect())
            client = self._connect()
            if not client.in_flight:
                if self._going_on() and len(self._ready):
                    continue
                return
            for outcome in client.poll(_LOOK_SECONDS):
                self._take(outcome)
            for request in client.take_back():
                self._ready.put_first(self._flying.pop(request.key))
            self._outbox.write_if_due()

    def _going_on(self) -> bool:
        """Whether to start pushes; what is in flight is always finished."""
        if self._setup.stop.is_set() or self._breaker.halted() or not self._connected:
            return False
        return self._client is None or not self._outdated(self._client)

    def _outdated(self, client: ApnsClient) -> bool:
        """Whether this host uses another certificate for the pass type by now. That of the pass
        type may be new and its key not here yet: then the connection stays."""
        if self._successor is not None:
            return True
        wanted = self._standing.fingerprint
        if wanted is None or wanted == client.fingerprint:
            return False
        if time.monotonic() - self._renewed_at <= _RENEW_SECONDS:
            return False
        self._renewed_at = time.monotonic()
        try:
            chosen = self._setup.client_for(self._standing.pass_type_id)
        except ConfigurationError:
            return False  # what works goes on
        if chosen.fingerprint == client.fingerprint:
            chosen.close()
            return False
        self._successor = chosen
        return True

    def _claim_more(self) -> None:
        """Claim what is urgent when it may be there, and bulk pushes when few are left."""
        probing = self._breaker.probing
        if probing and (len(self._ready) or self._flying):
            return
        if self._look[Lane.INTERACTIVE] and not self._ready.count(Lane.INTERACTIVE):
            self._claim(Lane.INTERACTIVE, 1 if probing else self._setup.most)
        if len(self._ready) > (0 if probing else self._fitting // 2):
            return
        if self._look[Lane.BULK]:
            self._adapt()
            self._claim(Lane.BULK, 1 if probing else self._fitting)

    def _claim(self, lane: Lane, limit: int) -> None:
        setup = self._setup
        self._look[lane] = False  # before the look: who is told meanwhile looks again
        try:
            with setup.database.write_tx() as session:
                claimed = claim(
                    session,
                    self._standing.pass_type_id,
                    lane,
                    now=setup.clock(),
                    lease=setup.lease,
                    limit=limit,
                )
        except OperationalError as error:
            # What is in flight is finished first.
            log.warning("the push queue cannot be reached", error=str(error.orig).strip())
            self._connected = False
            return
        self._look[lane] |= claimed.more
        self._ready.add(claimed.pushes, lane, setup.lease.total_seconds() * _LEASE_SHARE)
        if lane is Lane.BULK and claimed.pushes:
            # What became due meanwhile goes before it.
            self._look[Lane.INTERACTIVE] = True

    def _adapt(self) -> None:
        """Let the next bulk claim be what leaves in a moment; at most twice the last one, since
        one lucky moment says little."""
        now = time.monotonic()
        seconds, sent = now - self._claimed_at, self._sent - self._sent_before
        self._claimed_at, self._sent_before = now, self._sent
        fitting = min(int(sent / seconds * _CLAIM_SECONDS), self._fitting * 2)
        self._fitting = min(max(fitting, _SMALLEST_CLAIM), self._setup.most)

    def _feed(self, client: ApnsClient) -> None:
        for lane in Lane:
            room = client.room(urgent=lane is Lane.INTERACTIVE)
            while room > 0 and (waiting := self._ready.take(lane)):
                if waiting.deadline < time.monotonic():
                    self._outbox.release([waiting.push])
                    continue
                push = waiting.push
                self._flying[push.ids[0]] = waiting
                client.start(PushRequest(push.ids[0], push.token, self._standing.identifier))
                room -= 1

    def _take(self, outcome: Outcome) -> None:
        """Note what an answer means, for its push and for the channel."""
        push = self._flying.pop(outcome.push.key).push
        decided = verdict(outcome)
        self._sent += 1
        self._breaker.answered(outcome, decided)
        if self._breaker.losing:
            self._outbox.spare()
        self._outbox.take(push, outcome, decided, believed=self._breaker.believes)
