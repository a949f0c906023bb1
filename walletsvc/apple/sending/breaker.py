"""What a channel learns about itself: rest alone, stop for all senders, go on again."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Final

import structlog

from walletsvc.apple import channels
from walletsvc.apple.channels import Standing
from walletsvc.apple.models import ChannelState
from walletsvc.apple.pushes import Outcome
from walletsvc.apple.rules import (
    FIRST_REST,
    FIRST_STOP,
    LONGEST_REST,
    LONGEST_STOP,
    RESTS_BEFORE_STOP,
    Action,
    LossGuard,
    Verdict,
    backoff,
    explain,
)
from walletsvc.core.clock import Clock
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

_LOSING: Final = (
    "Apple calls most devices gone, which is hardly true: check WALLETSVC_APNS_URL and"
    " `walletsvc certs check`, then `walletsvc pushes resume`. Nothing is deleted meanwhile;"
    " if they are gone indeed, resume with --accept-losses."
)

# What proves that the push service takes our pushes: it judged a device.
_PROOF: Final = frozenset({Action.DONE, Action.HUSH, Action.DROP_TOKEN, Action.UNREGISTERED})


class Breaker:
    """The state of one channel in this process, and its share in the common one."""

    def __init__(
        self, database: Database, clock: Clock, rng: random.Random, standing: Standing
    ) -> None:
        self._database = database
        self._clock = clock
        self._rng = rng
        self._standing = standing
        self._guard = LossGuard()
        self._rests = 0
        self._faults = 0  # of this host, in a row
        self._noted = False  # such a fault is shown to the operator
        self._trouble: tuple[Outcome, Verdict] | None = None
        self._fault: str | None = None
        self._losing = False
        self.until: datetime | None = None  # a rest of this process alone
        self.probing = False

    @property
    def believes(self) -> bool:
        """Whether devices that Apple calls gone are forgotten."""
        return not self._losing and (self._guard.proven or self._losses_accepted())

    @property
    def losing(self) -> bool:
        """Whether implausibly many of them are called gone."""
        return self._losing

    def told(self, standing: Standing) -> None:
        """Take note of the common state."""
        if standing.state is ChannelState.OPEN and self._standing.state is not ChannelState.OPEN:
            self._rests, self.until = 0, None
        if self._noted and standing.state is ChannelState.OPEN:
            until = standing.noted_until
            if until is None or until <= self._clock():
                self.until = None  # the operator says so, or it is time anyway
        self._standing = standing

    def may_begin(self) -> bool:
        """Whether a try is worth it now."""
        now, standing = self._clock(), self._standing
        if self.until is not None and self.until > now:
            return False
        match standing.state:
            case ChannelState.OPEN:
                return True
            case ChannelState.STOPPED:
                return standing.retry_at is not None and standing.retry_at <= now
        return False

    def begin(self) -> bool:
        """Start sending, if that may be; of all senders one tries a stopped channel."""
        self._trouble, self._fault, self._losing, self.probing = None, None, False, False
        if not self.may_begin():
            return False
        if self._standing.state is ChannelState.STOPPED:
            self._guard.clear()
            with self._database.write_tx() as session:
                self.probing = channels.begin_probe(
                    session, self._standing.pass_type_id, self._clock()
                )
            return self.probing
        return True

    def halted(self) -> bool:
        """Whether no further push may start."""
        if self._trouble is not None or self._losing:
            return True
        return self._standing.state is not ChannelState.OPEN and not self.probing

    def answered(self, outcome: Outcome, decided: Verdict) -> None:
        """Note what an answer says about the channel."""
        if decided.action is Action.DONE:
            self._rests = self._faults = 0
            self._forget_note()
        if decided.rest and (self._trouble is None or decided.action is Action.STOP_CHANNEL):
            self._trouble = (outcome, decided)
        lossy = self._guard.doubts(decided.action, outcome.push.token)
        if lossy and not self._losses_accepted():
            self._losing = True
        elif self.probing and decided.action in _PROOF:
            self._open()
        elif self.probing and self._trouble is None:
            self._trouble = (outcome, decided)

    def misconfigured(self, reason: str) -> None:
        """It cannot even be tried, for this reason."""
        self._fault = reason

    def conclude(self) -> bool:
        """After sending: rest or stop if there was trouble; whether to hang up."""
        # Not before all is answered: the living may answer after the dead.
        if self._losing or (self._guard.hopeless and not self._losses_accepted()):
            self._stop(_LOSING, None)
            self._guard.clear()
        elif self._fault is not None:
            self._rest_alone(self._fault)
        elif self._trouble is not None:
            outcome, decided = self._trouble
            if outcome.status is None and decided.action is Action.STOP_CHANNEL:
                self._rest_alone(explain(outcome))
            elif decided.action is Action.STOP_CHANNEL:
                self._stop(explain(outcome), self._pause(FIRST_STOP, LONGEST_STOP))
            else:
                self._rest(outcome)
        else:
            return False
        return True

    def _losses_accepted(self) -> bool:
        standing = self._standing
        return (
            standing.state is ChannelState.OPEN
            and standing.retry_at is not None
            and standing.retry_at > self._clock()
        )

    def _open(self) -> None:
        with self._database.write_tx() as session:
            channels.works(session, self._standing.pass_type_id)
        self.probing = False
        self._standing = self._standing._replace(state=ChannelState.OPEN, retry_at=None, failures=0)
        log.info("pushes of a pass type are sent again", pass_type=self._standing.identifier)

    def _pause(self, first: timedelta, longest: timedelta, failures: int = 0) -> timedelta:
        failures = max(failures, self._standing.failures + 1)
        return backoff(failures, self._rng, first=first, longest=longest)

    def _rest(self, outcome: Outcome) -> None:
        """Leave the channel alone, longer each time until something works. When that lasts it
        becomes everybody's if Apple said so, and visible if nothing answered here."""
        self._rests += 1
        pause = self._pause(FIRST_REST, LONGEST_REST, self._rests)
        lasting = self._rests >= RESTS_BEFORE_STOP
        if outcome.status is not None and (self.probing or lasting):
            self._stop(explain(outcome), pause)
            return
        self.until = self._clock() + pause
        if lasting:
            self._note(explain(outcome), self.until)
        log.warning(
            "the push connection rests",
            pass_type=self._standing.identifier,
            seconds=round(pause.total_seconds(), 3),
            reason=explain(outcome),
        )

    def _rest_alone(self, reason: str) -> None:
        """This host has something to put right; others may well go on."""
        self._faults += 1
        pause = backoff(self._faults, self._rng, first=FIRST_STOP, longest=LONGEST_STOP)
        self.until = self._clock() + pause
        self._note(reason, self.until)
        log.error(
            "this host sends no pushes of a pass type",
            pass_type=self._standing.identifier,
            reason=reason,
            next_try_seconds=round(pause.total_seconds()),
        )

    def _note(self, reason: str, until: datetime) -> None:
        with self._database.write_tx() as session:
            self._noted = channels.note(
                session,
                self._standing.pass_type_id,
                reason=reason,
                retry_at=until,
                now=self._clock(),
            )

    def _forget_note(self) -> None:
        """It works here: take back what was noted, also of a host that is no more."""
        until = self._standing.noted_until
        if self._noted or (until is not None and until <= self._clock()):
            with self._database.write_tx() as session:
                channels.forget_note(session, self._standing.pass_type_id)
            self._noted = False
            self._standing = self._standing._replace(noted_until=None)

    def _stop(self, reason: str, pause: timedelta | None) -> None:
        now = self._clock()
        failures = max(self._rests, self._standing.failures + 1)
        with self._database.write_tx() as session:
            channels.stop(
                session,
                self._standing.pass_type_id,
                reason=reason,
                failures=failures,
                retry_at=None if pause is None else now + pause,
                now=now,
            )
        log.error(
            "pushes of a pass type are stopped",
            pass_type=self._standing.identifier,
            reason=reason,
            next_try_seconds=None if pause is None else round(pause.total_seconds()),
        )
