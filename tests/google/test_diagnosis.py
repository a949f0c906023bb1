"""Every way in which Google fails to show the newest state has its own name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from walletsvc.google.models import IssuerState
from walletsvc.google.timeline.facts import Facts, Message
from walletsvc.google.timeline.rules import diagnose
from walletsvc.jobs.changes import Lane
from walletsvc.passes.timeline.findings import Code, Severity
from walletsvc.passes.timeline.standing import WaitingChange

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEWS = NOW - timedelta(hours=1)
SOON = NOW + timedelta(minutes=1)
FACTS = Facts(
    now=NOW,
    revision=5,
    recorded_since=NOW - timedelta(days=30),
    published_at=NEWS,
    changed_at=NEWS - timedelta(seconds=1),
    opened_at=NEWS - timedelta(days=1),
    inserted_at=NEWS - timedelta(days=1),
    saved_at=NEWS - timedelta(days=1),
    has_users=True,
    sent_revision=5,
    sent_at=NEWS + timedelta(seconds=1),
    class_status="approved",
)
BEHIND: dict[str, Any] = {"sent_revision": 4, "due_at": NEWS}
TRIED = BEHIND | {"due_at": SOON, "attempts": 2}
SHUT: dict[str, Any] = {"issuer_reason": "403", "issuer_since": NEWS, "issuer_retry_at": SOON}
NEW: dict[str, Any] = {"has_users": False, "saved_at": None}
UNWANTED = NEW | {"inserted_at": None, "sent_revision": 0}
CASES: dict[str, tuple[Code, dict[str, Any]]] = {
    "it shows it": (Code.GOOGLE_UP_TO_DATE, {}),
    "what was sent is forgotten": (Code.GOOGLE_UP_TO_DATE, {"sent_at": None}),
    "it was announced": (Code.GOOGLE_ANNOUNCED, {"buzz": "asked", "left": 2, "next_at": SOON}),
    "none was left": (Code.GOOGLE_SILENT_BUDGET, {"buzz": "budget", "left": 0, "next_at": SOON}),
    "Google counts otherwise": (Code.GOOGLE_SILENT_REFUSED, {"buzz": "refused"}),
    "nothing to see": (Code.SAME_CONTENT, {"changed_at": NOW}),
    "no template": (Code.NO_TEMPLATE, {"has_template": False}),
    "a change waits": (
        Code.PUBLISHER_BUSY,
        {"changes": [WaitingChange("account", NEWS, Lane.INTERACTIVE)]},
    ),
    "Google will not have the class": (Code.GOOGLE_CLASS_REFUSED, {"class_error": "400"}),
    "the reviewer will not": (Code.GOOGLE_CLASS_REJECTED, {"class_status": "rejected"}),
    "the class is a draft": (Code.GOOGLE_CLASS_REJECTED, {"class_status": "draft"}),
    "the class comes first": (
        Code.GOOGLE_CLASS_WAITING,
        UNWANTED | {"due_at": NEWS, "class_there": False},
    ),
    "Google will not have the card": (
        Code.GOOGLE_REFUSED,
        {"sent_revision": 4, "refused": "400 invalidResource"},
    ),
    "paused": (Code.GOOGLE_PAUSED, BEHIND | SHUT | {"issuer": IssuerState.PAUSED}),
    "stopped": (Code.GOOGLE_STOPPED, BEHIND | SHUT | {"issuer": IssuerState.STOPPED}),
    "nobody sends": (Code.GOOGLE_NO_SENDER, BEHIND | {"sender_works": False}),
    "no answer": (Code.GOOGLE_UNANSWERED, TRIED | {"unanswered": True, "answer": "504"}),
    "it fails": (Code.GOOGLE_BACKING_OFF, TRIED | {"answer": "503 backendError"}),
    "under way": (Code.GOOGLE_IN_FLIGHT, TRIED),
    "behind a broadcast": (Code.GOOGLE_IN_BULK, BEHIND | {"lane": Lane.BULK}),
    "a sender that hangs": (Code.GOOGLE_SENDER_BUSY, BEHIND),
    "about to leave": (Code.GOOGLE_JUST_DUE, BEHIND | {"due_at": NOW}),
    "forgotten": (Code.GOOGLE_MISSED, {"sent_revision": 4}),
    "opened, and nothing came of it": (Code.GOOGLE_NOT_INSERTED, UNWANTED),
    "not saved": (Code.GOOGLE_NOT_SAVED, NEW),
    "removed": (Code.GOOGLE_REMOVED, {"has_users": False, "removed_at": NEWS}),
    "a message waits": (
        Code.GOOGLE_MESSAGE_WAITING,
        {"messages": [Message(NEWS, SOON, 1, Lane.INTERACTIVE)]},
    ),
    "Google will not have the message": (
        Code.GOOGLE_MESSAGE_REFUSED,
        {"messages": [Message(NEWS, SOON, 1, Lane.INTERACTIVE, refused=True, reason="400")]},
    ),
}


@pytest.mark.parametrize(("code", "changes"), CASES.values(), ids=CASES.keys())
def test_the_first_broken_link_is_named(code: Code, changes: dict[str, Any]) -> None:
    """One fact changed, another verdict."""
    assert diagnose(replace(FACTS, **changes))[0].code is code


def test_every_name_is_told_apart_by_a_case() -> None:
    """A reason that no facts lead to is a reason nobody will ever read."""
    googles = {code for code in Code if code.startswith("google-")}
    assert googles <= {code for code, _ in CASES.values()}


def test_a_problem_comes_before_what_needs_patience() -> None:
    """Nobody has saved it, and besides nothing is sent."""
    found = diagnose(replace(FACTS, **(BEHIND | NEW | {"sender_works": False})))
    assert [(one.code, one.severity) for one in found] == [
        (Code.GOOGLE_NO_SENDER, Severity.PROBLEM),
        (Code.GOOGLE_NOT_SAVED, Severity.WAITING),
    ]


def test_what_nobody_holds_is_not_behind() -> None:
    """Google is given it when somebody opens the link again."""
    found = diagnose(replace(FACTS, sent_revision=4, has_users=False, removed_at=NEWS))
    assert [one.code for one in found] == [Code.GOOGLE_REMOVED]


def test_an_old_refusal_is_of_no_interest_while_it_is_tried_anew() -> None:
    """The card has changed, and the next try may be better."""
    found = diagnose(replace(FACTS, **(BEHIND | {"due_at": NOW, "refused": ""})))
    assert [one.code for one in found] == [Code.GOOGLE_JUST_DUE]
