"""What answers come to, collected and written to the database a few hundred at a time."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Iterable
from typing import Final

import structlog
from sqlalchemy.exc import OperationalError

from walletsvc.apple.channels import Standing
from walletsvc.apple.pushes import Outcome
from walletsvc.apple.queue import Claimed, Settlement, settle
from walletsvc.apple.rules import Action, Verdict, answer_label, backoff
from walletsvc.core.clock import Clock
from walletsvc.jobs.counters import series
from walletsvc.passes.events import Event
from walletsvc.passes.models import EventKind
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

_MOST: Final = 500
_LONGEST_SECONDS: Final = 0.3


class Outbox:
    """The settlement of one channel. What could not be written is kept and written later."""

    def __init__(
        self, database: Database, clock: Clock, rng: random.Random, standing: Standing
    ) -> None:
        self._database = database
        self._clock = clock
        self._rng = rng
        self._pass_type_id = standing.pass_type_id
        self._topic = standing.identifier
        self._begin()

    def _begin(self) -> None:
        self._settlement = Settlement(self._pass_type_id)
        self._answers: Counter[str] = Counter()
        self._count = 0
        self._written_at = time.monotonic()

    def take(self, push: Claimed, outcome: Outcome, decided: Verdict, *, believed: bool) -> None:
        """Note what an answer means for the rows of its push; unless Apple is `believed`, no
        device is forgotten."""
        now = self._clock()
        action = decided.action
        reason = outcome.reason or outcome.transport_error
        settlement = self._settlement
        later = now + max(backoff(push.attempts, self._rng), decided.at_least)
        match action:
            case Action.DONE:
                settlement.delete(push)
            case Action.RETRY:
                settlement.postpone(push, later)
            case Action.HUSH:
                settlement.hush(push, later)
            case Action.STOP_CHANNEL:
                settlement.release(push)
            case Action.DROP_TOKEN | Action.UNREGISTERED if not believed:
                settlement.release(push)
            case Action.DROP_TOKEN:
                settlement.forget(push, None, later, reason or "")
            case Action.UNREGISTERED:
                # Without Apple's time, what the device said since our claim still counts.
                settlement.forget(push, decided.since or push.claimed_at, later, reason or "")
            case Action.REPORT:
                log.error("Apple refused a push as malformed", **_answer(outcome))
                settlement.delete(push)
        self._count += 1
        self._answers[action] += 1
        settlement.counted[
            series("pushes", pass_type=self._topic, answer=answer_label(outcome))
        ] += 1
        detail = {
            "apns_id": outcome.apns_id,
            "status": outcome.status,
            "reason": reason,
            "attempts": push.attempts,
            "action": action.value,
        }
        settlement.events.append(
            Event(now, EventKind.PUSHED, self._pass_type_id, None, push.device_id, detail)
        )
        if log.is_enabled_for(logging.DEBUG):
            log.debug("push", action=action.value, **_answer(outcome))

    def release(self, pushes: Iterable[Claimed]) -> None:
        """These were not tried: they are due again as if they had not been claimed."""
        for push in pushes:
            self._settlement.release(push)
            self._answers["put_back"] += 1

    def spare(self) -> None:
        """Forget none of the devices that were called gone and are not deleted yet."""
        self._settlement.spare()

    def write_if_due(self) -> None:
        """Write when there is enough or it is time; a database that is away is tried again."""
        age = time.monotonic() - self._written_at
        if self._count < _MOST and age < _LONGEST_SECONDS:
            return
        try:
            self.write()
        except OperationalError as error:
            log.warning("answers cannot be noted yet", error=str(error.orig).strip())
            self._written_at = time.monotonic()

    def write(self) -> None:
        """Write what was noted, in one transaction."""
        if self._settlement:
            with self._database.write_tx() as session:
                gone = settle(session, self._settlement, now=self._clock())
            if gone:
                self._answers["devices_forgotten"] = gone
            log.info("pushes", pass_type=self._topic, **self._answers)
        self._begin()


def _answer(outcome: Outcome) -> dict[str, object]:
    """The part of an outcome that may be logged: no token."""
    return {
        "status": outcome.status,
        "reason": outcome.reason or outcome.transport_error,
        "apns_id": outcome.apns_id,
        "topic": outcome.push.topic,
    }
