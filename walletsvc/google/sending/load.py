"""One batch: claimed in one transaction, asked, and settled in another."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.google import message_box, outbox, planning
from walletsvc.google.answers import Action, action, backoff, explain, label
from walletsvc.google.client import Answer, ApiRequest
from walletsvc.google.message_box import Delivery, Post
from walletsvc.google.models import MessageState
from walletsvc.google.outbox import Claim
from walletsvc.google.planning import Outcome, Plan
from walletsvc.google.wanted import House
from walletsvc.jobs import counters
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.counters import histogram, series
from walletsvc.passes import events
from walletsvc.passes.events import Event
from walletsvc.passes.models import EventKind

# Of objects and messages together, in ascending order as everywhere: each settlement locks its own
# objects only, and two batches that share some would wait for each other.
_LOCK: Final = text(
    "SELECT FROM google_objects WHERE pass_id = ANY(CAST(:ids AS bigint[]))"
    " ORDER BY pass_id FOR UPDATE"
)
_ERROR: Final = frozenset(Action) - {Action.DONE, Action.STOP}


@dataclass(frozen=True, slots=True)
class Load:
    """What one batch carries: objects and messages of one lane."""

    pass_type_id: int
    lane: Lane
    claim: Claim
    post: Post

    @property
    def requests(self) -> list[ApiRequest]:
        """The calls, objects first."""
        asked = [step.request for step in self.claim.steps if step.request is not None]
        return asked + [letter.request for letter in self.post.letters]

    def __len__(self) -> int:
        return len(self.claim.steps) + len(self.post.letters)


def take(
    session: Session,
    pass_type_id: int,
    lane: Lane,
    house: House,
    *,
    now: datetime,
    lease: timedelta,
    limit: int,
) -> Load:
    """Claim what is due in a lane, at most `limit` calls. Messages have half of the room: they
    follow from objects that went before."""
    span = {"now": now, "lease": lease}
    share = max(limit // 2, 1)
    post = message_box.claim(session, pass_type_id, lane, limit=share, **span)  # type: ignore[arg-type]
    room = limit - len(post.letters)
    if room:
        claim = outbox.claim(session, pass_type_id, lane, house, limit=room, **span)  # type: ignore[arg-type]
    else:
        claim = Claim([], now + lease, more=True)
    return Load(pass_type_id, lane, claim, post)


def put_back(session: Session, load: Load, *, now: datetime) -> None:
    """Nothing of it was asked."""
    _lock(session, load)
    if load.claim.steps:
        outbox.put_back(session, load.claim.steps, load.claim.mark, now=now)
    if load.post.letters:
        message_box.put_back(session, load.post.letters, load.post.mark, now=now)


def settle(
    session: Session,
    load: Load,
    answers: Sequence[Answer],
    rng: random.Random,
    *,
    now: datetime,
    doubt: timedelta = planning.DOUBT,
) -> list[Outcome]:
    """Write what the answers make of everything that was asked, with its timeline and counters;
    returns the outcomes of the objects. `doubt` is how long what was not answered for may still
    be applied."""
    count = len(load.claim.steps)
    outcomes = [
        planning.settle(
            step,
            answer,
            action(answer),
            **_consequence(answer, step.held.attempts, rng, now),
            doubt=doubt,
        )
        for step, answer in zip(load.claim.steps, answers[:count], strict=True)
    ]
    deliveries = [
        message_box.judge(
            letter,
            answer,
            action(answer),
            **_consequence(answer, letter.attempts, rng, now),
            doubt=doubt,
        )
        for letter, answer in zip(load.post.letters, answers[count:], strict=True)
    ]
    _lock(session, load)
    settled = outbox.settle(session, outcomes, load.claim.mark, now=now) if outcomes else []
    told = message_box.settle(session, deliveries, load.post.mark, now=now) if deliveries else []
    answered = {id(outcome): answer for outcome, answer in zip(outcomes, answers, strict=False)}
    heard = {id(each): answer for each, answer in zip(deliveries, answers[count:], strict=True)}
    happened = [_of_object(load, each, answered[id(each)], now) for each in settled]
    happened += [_of_message(load, each, heard[id(each)], now) for each in told]
    events.record(session, happened)
    counters.add(session, _counted(load, answers, settled, now) | _notifications(settled, told))
    return settled


def _lock(session: Session, load: Load) -> None:
    ids = {step.held.pass_id for step in load.claim.steps}
    ids |= {letter.pass_id for letter in load.post.letters}
    session.execute(_LOCK, {"ids": sorted(ids)})


def _consequence(
    answer: Answer, attempts: int, rng: random.Random, now: datetime
) -> dict[str, Any]:
    if answer.ok:
        return {"error": "", "now": now, "later": now}
    error = explain(answer) if action(answer) in _ERROR else ""
    return {"error": error, "now": now, "later": now + backoff(attempts + 1, rng)}


def _of_object(load: Load, outcome: Outcome, answer: Answer, now: datetime) -> Event:
    step = outcome.step
    detail = {
        "what": step.plan.value,
        "revision": step.revision,
        "status": answer.status,
        "reason": answer.reason or answer.transport_error,
        "attempts": step.held.attempts + 1,
        "buzz": step.buzz,
        "action": outcome.action.value,
    }
    if step.plan is Plan.LOOK and outcome.action is Action.DONE:
        detail["applied"] = outcome.applied
    return Event(now, EventKind.SENT, load.pass_type_id, step.held.pass_id, detail=detail)


def _of_message(load: Load, delivery: Delivery, answer: Answer, now: datetime) -> Event:
    letter = delivery.letter
    wanted = letter.wants_buzz
    detail = {
        "what": "look" if letter.looks else "message",
        "message": letter.message_id,
        "status": answer.status,
        "reason": answer.reason or answer.transport_error,
        "attempts": letter.attempts + 1,
        "buzz": "asked" if letter.buzz else ("budget" if wanted and not letter.looks else ""),
        "action": delivery.action.value,
        "state": delivery.state.value,
    }
    return Event(now, EventKind.SENT, load.pass_type_id, letter.pass_id, detail=detail)


def _counted(
    load: Load, answers: Sequence[Answer], settled: Sequence[Outcome], now: datetime
) -> dict[counters.Series, int]:
    counted = {
        series("google_requests", answer=answer): count
        for answer, count in Counter(label(answer) for answer in answers).items()
    }
    delays = [(now - each.step.held.due_at).total_seconds() for each in settled if each.sent]
    return counted | histogram("google_delay_seconds", delays, lane=load.lane.name.lower())


def _notifications(
    settled: Sequence[Outcome], told: Sequence[Delivery]
) -> dict[counters.Series, int]:
    """How many notifications were asked for, and how many were not: none was left by our count, or
    Google said so."""
    found = [("update", _of_update(each)) for each in settled]
    found += [("message", _of_letter(each)) for each in told]
    return {
        notification(kind, outcome): count
        for (kind, outcome), count in Counter(found).items()
        if outcome
    }


def notification(kind: str, outcome: str) -> counters.Series:
    """The counter of what became of notifications: `sent`, or suppressed by `budget` or Google's
    word (`refused`)."""
    return series("google_notifications", kind=kind, outcome=outcome)


def _of_update(outcome: Outcome) -> str:
    step = outcome.step
    if outcome.action is Action.SILENT:
        return "refused"
    if outcome.action is not Action.DONE:
        return ""
    if step.plan is Plan.LOOK:
        # Nobody answered to it, and it was applied: the phone was told.
        return "sent" if outcome.applied else ""
    return {"asked": "sent", "budget": "budget"}.get(step.buzz, "")


def _of_letter(delivery: Delivery) -> str:
    if delivery.action is Action.SILENT:
        return "refused"
    if delivery.state is MessageState.SENT:
        return "sent"
    silent = delivery.state is MessageState.SILENT and not delivery.letter.looks
    return "budget" if silent and delivery.letter.wants_buzz else ""
