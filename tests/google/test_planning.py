"""What is asked for an object, and what the answers make of its row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walletsvc.google.answers import Action
from walletsvc.google.client import Answer
from walletsvc.google.models import Kind
from walletsvc.google.planning import (
    DOUBT,
    MANY_MESSAGES,
    NOTIFY,
    Held,
    Outcome,
    Plan,
    Step,
    plan,
    settle,
    shows,
    silenced,
)
from walletsvc.google.rendering.notices import NoticePlan
from walletsvc.google.wanted import WantedObject

NOW = datetime(2026, 11, 20, tzinfo=UTC)
LATER = NOW + timedelta(seconds=7)


class Notices(NoticePlan):
    """A notice of every value that is not `points`."""

    def __init__(self) -> None:
        """No description is needed."""

    def message(self, before: Any, values: Any) -> dict[str, Any] | None:
        """The values that moved."""
        moved = {k: v for k, v in values.items() if k != "points" and before.get(k, v) != v}
        return {"body": str(moved)} if moved else None


def wanted(revision: int = 2, **values: Any) -> WantedObject:
    """A loyalty card of so many points."""
    values = values or {"points": 120}
    body = {
        "id": "1.a",
        "classId": "1.c",
        "state": "ACTIVE",
        "loyaltyPoints": {"label": "Баллы", "balance": {"int": values["points"]}},
    }
    return WantedObject(
        1, 1, 1, "1.a", Kind.LOYALTY, revision, body, values, frozenset({"points"}), Notices()
    )


def held(**changes: Any) -> Held:
    """A saved card whose 100 points Google shows."""
    row: dict[str, Any] = {
        "pass_id": 1,
        "object_id": "1.a",
        "kind": Kind.LOYALTY,
        "google_class_id": 1,
        "inserted": True,
        "has_users": True,
        "sent_revision": 1,
        "sent_values": {"points": 100},
        "messages": 0,
        "lane": 0,
        "attempts": 0,
        "attempt": None,
        "due_at": NOW,
    }
    return Held(**row | changes)


def answered(step: Step, action: Action, answer: Answer | None = None) -> Outcome:
    """What comes of a step."""
    answer = answer or Answer(200 if action is Action.DONE else 500)
    return settle(step, answer, action, error="why", now=NOW, later=LATER)


def body(step: Step) -> dict[str, Any]:
    """What is sent."""
    assert step.request is not None
    return step.request.body or {}


def test_a_change_of_points_notifies_once() -> None:
    """It is written down before it leaves, with what it shows."""
    step = plan(held(), wanted())
    assert (step.plan, step.key) == (Plan.PATCH, "update-2")
    assert body(step)["notifyPreference"] == NOTIFY
    assert not {"id", "classId"} & set(body(step))
    assert step.attempt == {
        "key": "update-2",
        "revision": 2,
        "values": {"points": 120},
        "shows": {"loyaltyPoints": {"balance": {"int": 120}}},
    }
    done = answered(step, Action.DONE)
    assert (done.sent_revision, done.sent_values) == (2, {"points": 120})
    assert (done.attempt, done.due_at, done.release, done.attempts) == (None, None, None, 0)


def test_without_allowance_the_change_arrives_silently() -> None:
    """Nothing is written down: it may be sent as often as need be."""
    step = silenced(plan(held(), wanted()))
    assert "notifyPreference" not in body(step)
    assert (step.key, step.attempt, step.buzz) == (None, None, "budget")
    assert body(step)["loyaltyPoints"]["balance"] == {"int": 120}


@pytest.mark.parametrize(
    "row",
    [
        {"has_users": False},
        {"sent_revision": 2},
    ],
)
def test_nothing_is_asked_for_nothing(row: dict[str, Any]) -> None:
    """Nobody holds it, or Google has it."""
    assert plan(held(**row), wanted()).plan is Plan.NOTHING
    assert plan(held(), None).plan is Plan.NOTHING


def test_what_google_does_not_have_is_inserted_whole_and_silently() -> None:
    """And a 409 turns it into a PATCH that notifies nobody."""
    step = plan(held(inserted=False, sent_revision=0, sent_values={}), wanted())
    assert step.plan is Plan.INSERT
    assert body(step)["classId"] == "1.c"
    assert step.key is None
    there = answered(step, Action.PATCH)
    assert there.inserted
    again = plan(held(sent_revision=0, sent_values={}, has_users=False), wanted())
    assert (again.plan, again.key, again.message) == (Plan.PATCH, None, None)


ATTEMPT = plan(held(), wanted()).attempt


def test_an_unanswered_notification_is_looked_for() -> None:
    """Applied: it is spent, and the rest is sent silently. Not shown: that is in doubt first, and
    then the change is sent silently as well."""
    lost = answered(plan(held(), wanted()), Action.UNKNOWN)
    assert (lost.attempt, lost.due_at, lost.release) == (ATTEMPT, LATER, None)
    look = plan(held(attempt=ATTEMPT), wanted(3, points=130))
    assert look.plan is Plan.LOOK
    assert look.attempt == ATTEMPT

    theirs = {"loyaltyPoints": {"balance": {"int": 120}, "label": "Баллы"}, "kind": "x"}
    applied = answered(look, Action.DONE, Answer(200, body=theirs))
    assert (applied.sent_values, applied.release, applied.due_at) == ({"points": 120}, None, NOW)
    assert applied.sent_revision == 1
    silent = plan(held(attempt=applied.attempt, sent_values=applied.sent_values), wanted())
    assert (silent.plan, silent.key) == (Plan.PATCH, None)
    newer = plan(
        held(attempt=applied.attempt, sent_values=applied.sent_values), wanted(3, points=7)
    )
    assert newer.key == "update-3"

    theirs = {"loyaltyPoints": {"balance": {"int": 100}}}
    doubtful = answered(look, Action.DONE, Answer(200, body=theirs))
    assert (doubtful.sent_values, doubtful.release) == ({"points": 100}, None)
    assert (doubtful.applied, doubtful.due_at) == (None, NOW + DOUBT)
    assert plan(held(attempt=doubtful.attempt), wanted()).plan is Plan.LOOK
    for passed in (timedelta(0), DOUBT - timedelta(seconds=1)):
        again = plan(held(attempt=doubtful.attempt), wanted())
        still = settle(
            again, Answer(200, body=theirs), Action.DONE, error="", now=NOW + passed, later=LATER
        )
        assert (still.attempt, still.due_at) == (doubtful.attempt, NOW + DOUBT)
    lost = settle(
        again, Answer(200, body=theirs), Action.DONE, error="", now=NOW + DOUBT, later=LATER
    )
    assert (lost.sent_values, lost.release, lost.applied) == ({"points": 120}, None, False)
    assert (lost.attempt, lost.due_at) == ({"told": True}, NOW + DOUBT)
    silent = plan(held(attempt=lost.attempt, sent_values=lost.sent_values), wanted())
    assert (silent.plan, silent.key, silent.revision) == (Plan.PATCH, None, 2)


@pytest.mark.parametrize("action", [Action.UNKNOWN, Action.RETRY, Action.STOP, Action.OURS])
def test_a_look_that_fails_forgets_nothing(action: Action) -> None:
    """What was asked before stays as unknown as it was, and its notification reserved."""
    outcome = answered(plan(held(attempt=ATTEMPT), wanted()), action)
    assert (outcome.attempt, outcome.release) == (ATTEMPT, None)
    assert outcome.due_at in (NOW, LATER)


@pytest.mark.parametrize(
    ("action", "due"),
    [(Action.RETRY, LATER), (Action.STOP, NOW), (Action.OURS, None), (Action.INSERT, NOW)],
)
def test_what_was_not_applied_gives_its_notification_back(
    action: Action, due: datetime | None
) -> None:
    """Nobody was told."""
    outcome = answered(plan(held(), wanted()), action)
    assert (outcome.release, outcome.due_at, outcome.attempt) == ("update-2", due, None)
    assert outcome.sent_values == ({} if action is Action.INSERT else {"points": 100})
    assert outcome.inserted is (action is not Action.INSERT)


def test_google_has_none_left() -> None:
    """The same at once without, and what was reserved stays spent."""
    refused = answered(plan(held(), wanted()), Action.SILENT)
    assert (refused.release, refused.due_at) == (None, NOW)
    again = plan(held(attempt=refused.attempt), wanted())
    assert (again.plan, again.key, again.buzz) == (Plan.PATCH, None, "refused")
    assert answered(again, Action.UNKNOWN).attempt == {"silent": True}
    assert answered(again, Action.DONE).attempt is None


def test_a_stop_does_not_count_as_an_attempt() -> None:
    """A fault of configuration must not make a card wait when it is mended."""
    assert answered(plan(held(attempts=3), wanted()), Action.STOP).attempts == 3
    assert answered(plan(held(attempts=3), wanted()), Action.RETRY).attempts == 4


def test_two_changes_at_once_sound_once() -> None:
    """Points by the update, the tier by a message that stays silent then."""
    row = held(sent_values={"points": 100, "tier": "Silver"})
    both = plan(row, wanted(points=120, tier="Gold"))
    assert both.key == "update-2"
    assert both.told
    assert both.message == {"body": "{'tier': 'Gold'}"}
    tier = plan(row, wanted(points=100, tier="Gold"))
    assert (tier.key, tier.told) == (None, False)
    assert answered(tier, Action.DONE).message == {"body": "{'tier': 'Gold'}"}
    assert answered(tier, Action.UNKNOWN).message is None
    # Also when the update's answer was lost.
    look = plan(held(attempt=both.attempt, sent_values=row.sent_values), wanted())
    assert both.request is not None
    applied = answered(look, Action.DONE, Answer(200, body=both.request.body))
    assert applied.sent_values == {"points": 120, "tier": "Silver"}
    rest = plan(
        held(attempt=applied.attempt, sent_values=applied.sent_values),
        wanted(points=120, tier="Gold"),
    )
    assert rest.message is not None
    assert rest.told


def test_many_messages_are_cleared_unless_one_is_on_its_way() -> None:
    """One that is would vanish without a trace, and be sent again."""
    many = plan(held(messages=MANY_MESSAGES), wanted())
    assert body(many)["messages"] == []
    assert answered(many, Action.DONE).messages == 0
    assert (many.attempt or {})["clears"] is True
    assert answered(many, Action.RETRY).messages == MANY_MESSAGES
    busy = plan(held(messages=MANY_MESSAGES, busy=True), wanted())
    assert "messages" not in body(busy)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda leaves: st.dictionaries(st.text(), leaves),
        max_leaves=8,
    )
)
def test_a_copy_shows_what_was_sent(value: Any) -> None:
    """Whatever Google adds, and however it writes numbers."""

    def theirs(ours: Any) -> Any:
        if isinstance(ours, dict):
            return {k: theirs(v) for k, v in ours.items() if v is not None} | {"kind#": "added"}
        return str(ours) if isinstance(ours, int) else ours

    if value is not None and (not isinstance(value, dict) or "kind#" not in str(value)):
        assert shows(theirs(value), value)


def test_a_copy_that_says_something_else() -> None:
    """Another number, or none."""
    ours = {"loyaltyPoints": {"balance": {"money": {"micros": 1_200_000, "currencyCode": "RUB"}}}}
    money = {"micros": "1200000", "currencyCode": "RUB"}
    assert shows({"loyaltyPoints": {"balance": {"money": money}}}, ours)
    money["micros"] = "1200001"
    assert not shows({"loyaltyPoints": {"balance": {"money": money}}}, ours)
    assert not shows({}, ours)
    assert not shows({"loyaltyPoints": None}, ours)
