"""What to ask Google for one object, and what the answer makes of its row. Pure functions.

The heart of it is the attempt. A PATCH that is to notify is written down before it leaves, with
the balances it carries. If no answer comes, the object is read: when Google shows those balances
it was applied and the phone was told. When it does not, Google may still be at it: for two minutes
that is in doubt, and after them the change is sent again silently, its notification spent. So
nobody is told twice of one change, whenever a worker dies. A PATCH that is silent may be sent any
number of times and needs none of this.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from walletsvc.google.answers import Action
from walletsvc.google.client import Answer, ApiRequest, object_path
from walletsvc.google.models import Kind
from walletsvc.google.wanted import WantedObject

NOTIFY: Final = "NOTIFY_ON_UPDATE"
# Google takes ten messages; beyond so many the next PATCH clears them.
MANY_MESSAGES: Final = 8
# How long what was not answered for may still be applied: far longer than we wait for an answer.
DOUBT: Final = timedelta(minutes=2)
_BALANCES: Final = ("loyaltyPoints", "secondaryLoyaltyPoints")
_BRIEF: Final = "?fields=id"
# What an attempt remembers besides: Google refused to notify; the phone was told of the change.
_FLAGS: Final = ("silent", "told")


class Plan(enum.StrEnum):
    """What is asked for an object."""

    NOTHING = "nothing"
    INSERT = "insert"
    PATCH = "patch"
    LOOK = "look"


@dataclass(frozen=True, slots=True)
class Held:
    """A claimed row, and since when it was due."""

    pass_id: int
    object_id: str
    kind: Kind
    google_class_id: int
    inserted: bool
    has_users: bool
    sent_revision: int
    sent_values: dict[str, Any]
    messages: int
    lane: int
    attempts: int
    attempt: dict[str, Any] | None
    due_at: datetime
    busy: bool = False  # a message of it is on its way
    untold: dict[str, Any] | None = None  # the values before what a waiting message is to tell

    @property
    def unanswered(self) -> bool:
        """Whether a notifying PATCH left and nobody knows what became of it."""
        return self.attempt is not None and "key" in self.attempt

    @property
    def flags(self) -> dict[str, Any]:
        """What is remembered until something is applied."""
        return {name: True for name in _FLAGS if (self.attempt or {}).get(name)}


@dataclass(frozen=True, slots=True)
class Step:
    """What is asked for an object. `key` names its notification if it is to have one, and
    `announces` the values that it tells; `message` is what the phone is told in a message once
    the PATCH is applied, silently when it was told already (`told`), or with what a message that
    has not left was to tell as well (`with_untold`)."""

    plan: Plan
    held: Held
    revision: int = 0
    values: dict[str, Any] = field(default_factory=dict)
    request: ApiRequest | None = None
    key: str | None = None
    announces: dict[str, Any] = field(default_factory=dict)
    message: dict[str, Any] | None = None
    with_untold: dict[str, Any] | None = None
    clears: bool = False
    buzz: str = ""  # for the timeline: asked, budget (none left), refused (Google says so), or none

    @property
    def told(self) -> bool:
        """Whether the phone was told of the change before its message."""
        return self.key is not None or "told" in self.held.flags

    @property
    def attempt(self) -> dict[str, Any] | None:
        """What is written down before the request leaves."""
        if self.plan is Plan.LOOK:
            return self.held.attempt
        if self.plan is not Plan.PATCH:
            return None
        kept = self.held.flags | ({"clears": True} if self.clears else {})
        if self.key is None:
            return kept or None
        body = (self.request and self.request.body) or {}
        shows = {
            name: {"balance": body[name]["balance"]}
            for name in _BALANCES
            if (body.get(name) or {}).get("balance") is not None
        }
        return {
            **kept,
            "key": self.key,
            "revision": self.revision,
            "values": self.announces,
            "shows": shows,
        }


def plan(held: Held, wanted: WantedObject | None) -> Step:
    """What to ask for a claimed row, with a notification if one is due: the budget may still
    take it away (`silenced`)."""
    if held.unanswered:
        look = ApiRequest("GET", object_path(held.kind, held.object_id))
        return Step(Plan.LOOK, held, request=look)
    if wanted is None:
        return Step(Plan.NOTHING, held)
    if not held.inserted:
        request = ApiRequest("POST", object_path(held.kind) + _BRIEF, wanted.body)
        return Step(Plan.INSERT, held, wanted.revision, wanted.values, request)
    known = held.sent_revision != 0
    if known and (not held.has_users or wanted.revision == held.sent_revision):
        return Step(Plan.NOTHING, held, wanted.revision)
    body = wanted.patch()
    clears = held.messages >= MANY_MESSAGES and not held.busy
    if clears:
        body["messages"] = []
    silent = "silent" in held.flags
    key = None
    if wanted.buzzes(held.sent_values) and held.has_users and not silent:
        key = f"update-{wanted.revision}"
        body["notifyPreference"] = NOTIFY
    return Step(
        Plan.PATCH,
        held,
        wanted.revision,
        wanted.values,
        ApiRequest("PATCH", object_path(held.kind, held.object_id) + _BRIEF, body),
        key,
        {name: wanted.values[name] for name in wanted.notifies if name in wanted.values},
        wanted.message(held.sent_values) if held.has_users else None,
        wanted.message(held.sent_values | (held.untold or {})) if held.has_users else None,
        clears,
        buzz="asked" if key else ("refused" if silent else ""),
    )


def silenced(step: Step) -> Step:
    """The same without its notification: none is left."""
    if step.request is None or step.request.body is None:
        return step
    body = {name: value for name, value in step.request.body.items() if name != "notifyPreference"}
    return replace(step, key=None, request=replace(step.request, body=body), buzz="budget")


@dataclass(slots=True)
class Outcome:
    """What an answer makes of a row. `due_at` is when it is due again; None: only if its pass says
    more by now than `revision`. `sent` says that Google shows the revision of the step."""

    step: Step
    action: Action
    revision: int
    sent_revision: int
    sent_values: dict[str, Any]
    attempt: dict[str, Any] | None
    inserted: bool
    attempts: int
    messages: int
    due_at: datetime | None = None
    error: str = ""
    release: str | None = None  # the notification that is given back
    message: dict[str, Any] | None = None
    sent: bool = False
    no_class: bool = False
    # Of looking for what was not answered for: whether Google shows it; None: that is in doubt.
    applied: bool | None = None


def settle(
    step: Step,
    answer: Answer,
    action: Action,
    *,
    error: str,
    now: datetime,
    later: datetime,
    doubt: timedelta = DOUBT,
) -> Outcome:
    """What the answer to a step makes of the row: `now` is at once, `later` after a backoff,
    `error` the refusal in words, and `doubt` how long what is not shown may still be applied."""
    held = step.held
    outcome = Outcome(
        step,
        action,
        revision=step.revision,
        sent_revision=held.sent_revision,
        sent_values=held.sent_values,
        attempt=held.flags or None,
        inserted=held.inserted,
        attempts=held.attempts + 1,
        messages=held.messages,
        error="" if action is Action.DONE else error,
    )
    if action is Action.DONE:
        outcome.attempts = 0
        if step.plan is Plan.LOOK:
            _looked(outcome, answer, now, doubt)
        else:
            _applied(outcome)
        return outcome
    _not_done(outcome, now, later)
    return outcome


def _not_done(outcome: Outcome, now: datetime, later: datetime) -> None:
    """What any other answer than success leaves to be done, and whether a notification is free."""
    step, action = outcome.step, outcome.action
    held, key = step.held, step.key
    if step.plan is Plan.LOOK:
        # Whatever comes of looking, what was asked before is as unknown as it was.
        outcome.attempt, key = held.attempt, None
    match action:
        case Action.UNKNOWN:
            outcome.attempt, outcome.due_at, key = step.attempt, later, None
        case Action.SILENT:
            # What was reserved is spent: by something that we do not know of.
            outcome.attempt = held.flags | {"silent": True}
            outcome.due_at, key = now, None
        case Action.INSERT | Action.CREATE_CLASS:
            _missing(outcome, action, now, later)
        case Action.PATCH if step.plan is Plan.INSERT:
            outcome.inserted, outcome.due_at = True, now
        case Action.STOP:
            outcome.attempts, outcome.due_at, outcome.error = held.attempts, now, ""
        case Action.OURS if step.plan is not Plan.LOOK:
            pass  # never again as it is: due when the pass says something else
        case _:
            outcome.due_at = later
    outcome.release = outcome.release or key


def _applied(outcome: Outcome) -> None:
    step = outcome.step
    outcome.sent = outcome.inserted = True
    outcome.attempt = None
    outcome.sent_revision, outcome.sent_values = step.revision, step.values
    outcome.message = step.message
    if step.clears or step.plan is Plan.INSERT:
        outcome.messages = 0


def _looked(outcome: Outcome, answer: Answer, now: datetime, doubt: timedelta) -> None:
    """Google shows whether the unanswered PATCH was applied. What it did not announce is sent
    again in any case, silently: that Google shows these balances says nothing of the rest, and
    that it does not show them is no proof that they were not announced."""
    tried = outcome.step.held.attempt or {}
    applied = shows(answer.body or {}, tried.get("shows") or {})
    if not applied:
        until = datetime.fromisoformat(tried["until"]) if "until" in tried else now + doubt
        if now < until:
            outcome.attempt = tried | {"until": until.isoformat()}
            outcome.due_at = until
            return
    outcome.applied, outcome.due_at = applied, now
    outcome.sent_values = outcome.sent_values | (tried.get("values") or {})
    outcome.attempt = outcome.step.held.flags | {"told": True}


def _missing(outcome: Outcome, action: Action, now: datetime, later: datetime) -> None:
    """Google does not have the object, or its class: nobody has been told of anything."""
    step = outcome.step
    outcome.attempt = None
    outcome.inserted = False
    outcome.sent_revision, outcome.sent_values, outcome.messages = 0, {}, 0
    outcome.no_class = action is Action.CREATE_CLASS
    outcome.due_at = now if step.plan is not Plan.INSERT else later
    outcome.release = (step.held.attempt or {}).get("key") if step.plan is Plan.LOOK else step.key


def shows(theirs: Any, ours: Any) -> bool:
    """Whether Google's copy says all of what we sent. Google writes numbers as text and texts as
    it likes, and adds what it knows."""
    if isinstance(ours, Mapping):
        return isinstance(theirs, Mapping) and all(
            shows(theirs.get(name), value) for name, value in ours.items() if value is not None
        )
    if theirs == ours:
        return True
    try:
        return Decimal(str(theirs)) == Decimal(str(ours))
    except InvalidOperation:
        return str(theirs) == str(ours)
