"""What a worker learns about Google as a whole: rest alone, stop for all workers, go on again."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from walletsvc.core.clock import Clock
from walletsvc.google import breaker
from walletsvc.google.answers import Action, action, backoff, explain
from walletsvc.google.breaker import Standing
from walletsvc.google.client import Answer
from walletsvc.google.models import IssuerState
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

FIRST_REST: Final = timedelta(milliseconds=250)
LONGEST_REST: Final = timedelta(minutes=1)
FIRST_STOP: Final = timedelta(seconds=30)
LONGEST_STOP: Final = timedelta(minutes=15)
# After so many rests in a row it is no passing thing any more, and everybody's.
RESTS_BEFORE_STOP: Final = 4
# Nothing was said about what was asked.
_NO_JUDGEMENT: Final = frozenset({Action.RETRY, Action.UNKNOWN})


class Trouble:
    """The state of the connection to Google in this process, for all of its threads."""

    def __init__(self, database: Database, clock: Clock, rng: random.Random) -> None:
        self._database = database
        self._clock = clock
        self._rng = rng
        self._lock = threading.Lock()
        self._rests = 0
        self._until: datetime | None = None

    def rest_seconds(self) -> float | None:
        """How long this process still rests; None when it does not."""
        until = self._until
        seconds = (until - self._clock()).total_seconds() if until else 0.0
        return seconds if seconds > 0 else None

    def may_begin(self, standing: Standing) -> bool:
        """Whether a try is worth it now."""
        if self.rest_seconds() is not None:
            return False
        if standing.state is IssuerState.OPEN:
            return True
        retry_at = standing.retry_at
        return (
            standing.state is IssuerState.STOPPED
            and retry_at is not None
            and retry_at <= self._clock()
        )

    def probe(self, standing: Standing) -> bool:
        """Whether this thread, of all workers', is the one that tries a stopped issuer now."""
        with self._database.write_tx() as session:
            return breaker.begin_probe(session, standing.pass_type_id, self._clock())

    def learn(self, standing: Standing, answers: Sequence[Answer]) -> None:
        """Note what answers say of Google as a whole."""
        if not answers:
            return
        actions = [action(answer) for answer in answers]
        if Action.STOP in actions:
            refused = answers[actions.index(Action.STOP)]
            self._stop(standing, refused, FIRST_STOP, LONGEST_STOP, standing.failures + 1)
        elif all(each in _NO_JUDGEMENT for each in actions):
            self._rest(standing, answers[0])
        else:
            self._works(standing)

    def _works(self, standing: Standing) -> None:
        self._rests, self._until = 0, None
        if standing.state is IssuerState.STOPPED:
            with self._database.write_tx() as session:
                breaker.works(session, standing.pass_type_id, self._clock())
            log.info("Google is given passes again")

    def _rest(self, standing: Standing, answer: Answer) -> None:
        """Leave Google alone, longer each time until something works. When that lasts it becomes
        everybody's if Google said so; a network of this host is its own business, unless it is
        this host that was to find out."""
        with self._lock:
            self._rests += 1
            rests = self._rests
            pause = backoff(rests, self._rng, first=FIRST_REST, longest=LONGEST_REST)
            self._until = self._clock() + pause
        lasting = answer.status is not None and rests >= RESTS_BEFORE_STOP
        if standing.state is IssuerState.STOPPED or (lasting and action(answer) is Action.UNKNOWN):
            failures = max(rests, standing.failures + 1)
            self._stop(standing, answer, FIRST_REST, LONGEST_REST, failures)
            return
        log.warning(
            "Google is left alone for a moment",
            seconds=round(pause.total_seconds(), 3),
            reason=explain(answer),
        )

    def _stop(
        self,
        standing: Standing,
        answer: Answer,
        first: timedelta,
        longest: timedelta,
        failures: int,
    ) -> None:
        now = self._clock()
        pause = backoff(failures, self._rng, first=first, longest=longest)
        reason = explain(answer)
        with self._database.write_tx() as session:
            breaker.stop(
                session,
                standing.pass_type_id,
                reason=reason,
                failures=standing.failures + 1,
                retry_at=now + pause,
                now=now,
            )
        log.error(
            "Google is given nothing",
            reason=reason,
            next_try_seconds=round(pause.total_seconds(), 3),
        )
