"""What answers come to, collected and written to the database a few hundred at a time."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError, OperationalError

from walletsvc.apple.channels import Standing
from walletsvc.apple.pushes import Outcome
from walletsvc.apple.queue import Claimed, Settlement, settle
from walletsvc.apple.rules import Action, Verdict, answer_label, backoff
from walletsvc.core.clock import Clock
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.counters import histogram, series
from walletsvc.passes.events import Event
from walletsvc.passes.models import EventKind
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

_MOST: Final = 500
_LONGEST_SECONDS: Final = 0.3


class _Noted:
    """What came of some pushes, before it is in the database."""

    def __init__(self, pass_type_id: int) -> None:
        self.settlement = Settlement(pass_type_id)
        self.actions: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.delays: defaultdict[Lane, list[float]] = defaultdict(list)
        self.count = 0
        self.since = time.monotonic()


class Outbox:
    """The settlement of one channel, written beside the sending. What could not be written is
    kept and written later."""

    def __init__(
        self, database: Database, clock: Clock, rng: random.Random, standing: Standing
    ) -> None:
        self._database = database
        self._clock = clock
        self._rng = rng
        self._pass_type_id = standing.pass_type_id
        self._topic = standing.identifier
        self._noted = _Noted(self._pass_type_id)
        self._unwritten: deque[_Noted] = deque()
        self._writer = ThreadPoolExecutor(1, "answers")
        self._writing: Future[None] | None = None
        self._debug = log.is_enabled_for(logging.DEBUG)

    def take(self, push: Claimed, outcome: Outcome, decided: Verdict, *, believed: bool) -> None:
        """Note what an answer means for the rows of its push; unless Apple is `believed`, no
        device is forgotten."""
        now = self._clock()
        action = decided.action
        reason = outcome.reason or outcome.transport_error
        noted = self._noted
        settlement = noted.settlement
        if action is Action.DONE:
            settlement.delete(push)
            noted.delays[push.lane].append((now - push.queued_at).total_seconds())
        else:
            self._decide(push, outcome, decided, believed)
        noted.count += 1
        noted.actions[action] += 1
        noted.labels[answer_label(outcome)] += 1
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
        if self._debug:
            log.debug("push", action=action.value, **_answer(outcome))

    def _decide(self, push: Claimed, outcome: Outcome, decided: Verdict, believed: bool) -> None:
        settlement = self._noted.settlement
        reason = outcome.reason or outcome.transport_error or ""
        later = self._clock() + max(backoff(push.attempts, self._rng), decided.at_least)
        match decided.action:
            case Action.RETRY:
                settlement.postpone(push, later)
            case Action.HUSH:
                settlement.hush(push, later)
            case Action.STOP_CHANNEL:
                settlement.release(push)
            case Action.DROP_TOKEN | Action.UNREGISTERED if not believed:
                settlement.postpone(push, later)
            case Action.DROP_TOKEN:
                settlement.forget(push, None, later, reason, everywhere=decided.everywhere)
            case Action.UNREGISTERED:
                # Without Apple's time, what the device said since our claim still counts.
                since = decided.since or push.claimed_at
                settlement.forget(push, since, later, reason, everywhere=decided.everywhere)
            case Action.REPORT:
                log.error("Apple refused a push as malformed", **_answer(outcome))
                settlement.delete(push)

    def release(self, pushes: Iterable[Claimed]) -> None:
        """These were not tried: they are due again as if they had not been claimed."""
        for push in pushes:
            self._noted.settlement.release(push)
            self._noted.actions["put_back"] += 1

    def spare(self) -> None:
        """Forget none of the devices that were called gone and are not deleted yet."""
        self._noted.settlement.spare()

    def write_if_due(self) -> None:
        """Have it written when there is enough or it is time; a database that is away is tried
        again."""
        if self._writing is not None:
            if not self._writing.done():
                return
            try:
                self._written()
            except OperationalError as error:
                log.warning("answers cannot be noted yet", error=str(error.orig).strip())
                self._noted.since = time.monotonic()
        age = time.monotonic() - self._noted.since
        if self._noted.count >= _MOST or age >= _LONGEST_SECONDS:
            self._set_aside()
            if self._unwritten:
                self._writing = self._writer.submit(self._write, self._unwritten[0])

    def write(self) -> None:
        """Write all that was noted; returns when it is written."""
        if self._writing is not None:
            self._written()
        self._set_aside()
        while self._unwritten:
            self._write(self._unwritten[0])
            self._unwritten.popleft()

    def close(self) -> None:
        """End the thread that writes."""
        self._writer.shutdown()

    def _written(self) -> None:
        """The end of a write; raises what it raised, and then it is still to be written."""
        writing, self._writing = self._writing, None
        assert writing is not None  # noqa: S101 - for the type checker
        writing.result()
        self._unwritten.popleft()

    def _set_aside(self) -> None:
        """What was noted so far is complete."""
        if self._noted.settlement:
            self._unwritten.append(self._noted)
        self._noted = _Noted(self._pass_type_id)

    def _write(self, noted: _Noted) -> None:
        """Write it in one transaction."""
        noted.settlement.counted = {
            series("pushes", pass_type=self._topic, answer=label): count
            for label, count in noted.labels.items()
        }
        for lane, delays in noted.delays.items():
            noted.settlement.counted |= histogram(
                "push_delay_seconds", delays, lane=lane.name.lower()
            )
        try:
            gone = self._settle(noted.settlement)
        except OperationalError:
            raise  # the database is away: again later
        except DBAPIError as error:
            # What the database refuses once it refuses for ever. The rows matter more than
            # what is told of them.
            said = str(error.orig).strip()  # not the traceback: parameters are secrets
            log.error("answers are settled without their events", error=said)  # noqa: TRY400
            gone = self._settle(replace(noted.settlement, events=[], counted={}))
        if gone:
            noted.actions["devices_forgotten"] = gone
        log.info("pushes", pass_type=self._topic, **noted.actions)

    def _settle(self, settlement: Settlement) -> int:
        with self._database.write_tx() as session:
            return settle(session, settlement, now=self._clock())


def _answer(outcome: Outcome) -> dict[str, object]:
    """The part of an outcome that may be logged: no token."""
    return {
        "status": outcome.status,
        "reason": outcome.reason or outcome.transport_error,
        "apns_id": outcome.apns_id,
        "topic": outcome.push.topic,
    }
