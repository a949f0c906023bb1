"""Every way in which a phone fails to show the newest state has its own name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from walletsvc.apple.diagnosis.facts import Asked, Device, Facts, Line, Pushed, Queued, Taken
from walletsvc.apple.diagnosis.rules import diagnose
from walletsvc.jobs.changes import Lane
from walletsvc.passes.timeline.findings import Code, Finding, Severity
from walletsvc.passes.timeline.standing import WaitingBulk, WaitingChange

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NEWS = NOW - HOUR
SOON = NOW + timedelta(minutes=5)
PUSHED = Pushed(NEWS + timedelta(seconds=1), 200, "")
ASKED = Asked(NEWS + timedelta(seconds=2), named=True)
FETCHED = Taken(NEWS + timedelta(seconds=3), 5)
PHONE = Device("a1b2", NEWS, pushes=[PUSHED], asked=ASKED, fetched=FETCHED)
SILENT = replace(PHONE, asked=None, fetched=None)
FACTS = Facts(
    now=NOW,
    revision=5,
    recorded_since=NOW - timedelta(days=30),
    certificate_until=NOW + timedelta(days=100),
    published_at=NEWS,
    changed_at=NEWS - timedelta(seconds=1),
    devices=[PHONE],
)


def queued(seconds: float = 60, due: datetime = NEWS, attempts: int = 0, bulk: bool = False) -> Any:
    """A phone whose push still waits."""
    lane = Lane.BULK if bulk else Lane.INTERACTIVE
    at = NOW - timedelta(seconds=seconds)
    return replace(SILENT, pushes=[], queued=Queued(at, due, attempts, lane))


def change(seconds: float = 60, *, bulk: bool = False, aside: bool = False) -> WaitingChange:
    """A change that nobody has acted on."""
    lane = Lane.BULK if bulk else Lane.INTERACTIVE
    return WaitingChange("account", NOW - timedelta(seconds=seconds), lane, SOON if aside else None)


def bulk(state: str) -> list[WaitingBulk]:
    """A bulk job that has not come to the pass."""
    return [WaitingBulk("New look", state, 10, 100, "disk full" if state == "failed" else None)]


def ignoring(days: int) -> Device:
    """A phone that was pushed every day and never asked."""
    pushes = [Pushed(NOW - timedelta(days=n), 200, "") for n in range(days, 0, -1)]
    return replace(SILENT, news_at=NOW - timedelta(days=1), pushes=pushes)


FAILED = [Pushed(NEWS, 503, "ServiceUnavailable", 3)]
CASES: dict[str, tuple[Code, dict[str, Any]]] = {
    "it has it": (Code.UP_TO_DATE, {}),
    "it registered with the newest": (
        Code.UP_TO_DATE,
        {"devices": [replace(SILENT, has_copy=True, pushes=[])]},
    ),
    "it has it although a push still waits": (
        Code.UP_TO_DATE,
        {"devices": [replace(queued(), fetched=FETCHED)]},
    ),
    "nothing to see": (Code.SAME_CONTENT, {"changed_at": NOW}),
    "no template": (Code.NO_TEMPLATE, {"has_template": False, "devices": []}),
    "no certificate": (Code.CERTIFICATE_MISSING, {"certificate_until": None}),
    "certificate over": (
        Code.CERTIFICATE_EXPIRED,
        {"certificate_until": NEWS, "devices": [queued()]},
    ),
    "never added": (Code.NEVER_ADDED, {"devices": []}),
    "downloaded only": (Code.ADDED_WITHOUT_REGISTERING, {"devices": [], "downloaded_at": NEWS}),
    "removed": (Code.REMOVED, {"devices": [replace(PHONE, holds=False, left_at=NOW)]}),
    "lost": (
        Code.DEVICE_GONE,
        {"devices": [replace(PHONE, holds=False, left_at=NOW, lost="Unregistered")]},
    ),
    "an error": (Code.CHANGE_SET_ASIDE, {"changes": [change(), change(aside=True)]}),
    "nobody publishes": (Code.NO_PUBLISHER, {"changes": [change()], "publisher_works": False}),
    "just changed": (Code.CHANGE_JUST_MADE, {"changes": [change(1)]}),
    "behind a broadcast": (Code.CHANGE_IN_BULK, {"changes": [change(bulk=True)]}),
    "publisher hangs": (Code.PUBLISHER_BUSY, {"changes": [change(bulk=True), change()]}),
    "bulk runs": (Code.BULK_RUNNING, {"bulk": bulk("running"), "content_current": False}),
    "bulk paused": (Code.BULK_PAUSED, {"bulk": bulk("paused"), "content_current": False}),
    "bulk failed": (Code.BULK_FAILED, {"bulk": bulk("failed"), "content_current": False}),
    "past the service": (Code.NOT_PUBLISHED, {"content_current": False}),
    "paused": (Code.CHANNEL_PAUSED, {"devices": [queued()], "channel": "paused"}),
    "stopped": (Code.CHANNEL_STOPPED, {"devices": [queued()], "channel": "stopped"}),
    "nobody sends": (Code.NO_SENDER, {"devices": [queued()], "sender_works": False}),
    "429": (
        Code.DEVICE_QUIET,
        {"devices": [replace(queued(due=SOON), quiet_until=SOON, pushes=FAILED)]},
    ),
    "retried": (
        Code.PUSH_BACKING_OFF,
        {"devices": [replace(queued(due=SOON, attempts=3), pushes=FAILED)]},
    ),
    "claimed": (Code.PUSH_IN_FLIGHT, {"devices": [queued(due=SOON, attempts=1)]}),
    "just queued": (Code.PUSH_JUST_QUEUED, {"devices": [queued(1)]}),
    "push behind a broadcast": (Code.PUSH_IN_BULK, {"devices": [queued(bulk=True)]}),
    "sender hangs": (Code.SENDER_BUSY, {"devices": [queued()]}),
    "refused": (
        Code.PUSH_REFUSED,
        {"devices": [replace(SILENT, pushes=[Pushed(NOW, 413, "PayloadTooLarge")])]},
    ),
    "no push": (Code.PUSH_MISSING, {"devices": [replace(SILENT, pushes=[])]}),
    "too long ago": (
        Code.NOT_RECORDED,
        {"devices": [replace(SILENT, pushes=[])], "recorded_since": NOW},
    ),
    "before there were timelines": (
        Code.NOT_RECORDED,
        {"devices": [replace(SILENT, pushes=[])], "published_recorded": False},
    ),
    "on its way": (
        Code.ON_ITS_WAY,
        {"devices": [replace(SILENT, pushes=[Pushed(NOW - timedelta(seconds=9), 200, "")])]},
    ),
    "silent": (Code.PHONE_SILENT, {"devices": [SILENT]}),
    "ignores all pushes": (Code.UPDATES_OFF, {"devices": [ignoring(4)]}),
    "nobody asks": (
        Code.SERVICE_UNREACHABLE,
        {"devices": [SILENT], "pushed_lately": 3, "first_push_lately": NEWS},
    ),
    "others ask": (
        Code.PHONE_SILENT,
        {
            "devices": [SILENT],
            "pushed_lately": 3,
            "first_push_lately": NEWS,
            "asked_lately": 1,
        },
    ),
    "asks and will fetch": (
        Code.FETCHING,
        {"devices": [replace(SILENT, asked=Asked(NOW, named=True))]},
    ),
    "asked only": (Code.ASKED_NOT_FETCHED, {"devices": [replace(SILENT, asked=ASKED)]}),
    "told that nothing changed": (
        Code.TAG_AHEAD,
        {"devices": [replace(SILENT, asked=Asked(NEWS, named=False))]},
    ),
    "got an old one": (
        Code.FETCHED_OLDER,
        {"devices": [replace(PHONE, fetched=Taken(NOW, 4))]},
    ),
    "304": (
        Code.ANSWERED_UNCHANGED,
        {"devices": [replace(SILENT, asked=ASKED, unchanged=Taken(NOW, 5))]},
    ),
    "not let in": (
        Code.COMPLAINT_AUTHENTICATION,
        {
            "devices": [replace(SILENT, asked=ASKED)],
            "lines": [Line(NOW, "Get pass task: Authentication failure")],
        },
    ),
    "not read": (
        Code.COMPLAINT_MALFORMED,
        {"devices": [SILENT], "lines": [Line(NOW, "received invalid pass data")]},
    ),
    "not changed": (
        Code.COMPLAINT_UNCHANGED,
        {"devices": [SILENT], "lines": [Line(NOW, "the pass was unchanged (304)")]},
    ),
    "not reached": (
        Code.COMPLAINT_CONNECTION,
        {"devices": [SILENT], "lines": [Line(NOW, "The request timed out.")]},
    ),
    "something else": (
        Code.COMPLAINT_OTHER,
        {"devices": [SILENT], "lines": [Line(NOW, "status 500")]},
    ),
}


@pytest.mark.parametrize(("code", "changes"), CASES.values(), ids=CASES.keys())
def test_each_failure_has_its_name(code: Code, changes: dict[str, Any]) -> None:
    """The first broken link of the chain is what is said."""
    assert diagnose(replace(FACTS, **changes))[0].code == code


def test_every_name_is_told_apart_by_a_case() -> None:
    """A reason that no facts lead to is a reason nobody will ever read."""
    apples = {code for code in Code if not code.startswith("google-")}
    assert {code for code, _ in CASES.values()} == apples


def test_a_broken_phone_is_named_before_the_ones_that_are_fine() -> None:
    """One of three: the operator must not have to look for it."""
    phones = [
        replace(PHONE, label="fine"),
        replace(SILENT, label="mute"),
        replace(queued(), label="stuck"),
    ]
    found = diagnose(replace(FACTS, devices=phones))
    assert [(one.device, one.severity) for one in found] == [
        ("stuck", Severity.PROBLEM),
        ("mute", Severity.WAITING),
        ("fine", Severity.FINE),
    ]


def test_a_complaint_about_nothing_does_not_hide_that_all_is_well() -> None:
    """The phone grumbled and then fetched."""
    found = diagnose(replace(FACTS, lines=[Line(NEWS, "timed out")]))
    assert [one.code for one in found] == [Code.UP_TO_DATE, Code.COMPLAINT_CONNECTION]


def test_a_phone_that_left_says_nothing_about_the_others() -> None:
    """Only those that hold the pass are judged."""
    gone = replace(PHONE, label="gone", holds=False, left_at=NOW)
    assert [one.device for one in diagnose(replace(FACTS, devices=[gone, PHONE]))] == ["a1b2"]


def test_severities_say_who_must_act() -> None:
    """A dead worker is the operator's business, a phone in a drawer is not."""
    assert Finding(Code.NO_SENDER).severity is Severity.PROBLEM
    assert Finding(Code.PHONE_SILENT).severity is Severity.WAITING
    assert Finding(Code.NOT_RECORDED).severity is Severity.UNKNOWN
    assert Finding(Code.UP_TO_DATE).severity is Severity.FINE
