"""What the timeline says of a push that waits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.apple.conftest import Service
from tests.apple.timelines import (
    ask,
    device_id,
    fetch,
    later,
    pushed,
    report,
    verdict,
    workers,
    write,
)
from walletsvc.apple.timeline import holders
from walletsvc.passes.events import Event, record
from walletsvc.passes.models import EventKind
from walletsvc.passes.timeline.entries import EntryKind
from walletsvc.passes.timeline.findings import Code, Severity
from walletsvc.passes.timeline.waiting import WaitingKind


def test_a_push_waits(waiting: Service) -> None:
    """For a sender, for the operator, for Apple, for the phone."""
    assert verdict(waiting) is Code.NO_SENDER
    (push,) = report(waiting).waiting
    assert (push.kind, push.values["attempts"]) == (WaitingKind.PUSH, 0)
    assert push.due == waiting.clock() - timedelta(minutes=1)
    with workers(waiting):
        assert verdict(waiting) is Code.SENDER_BUSY
        pushed(waiting, status=503)
        write(waiting, "UPDATE pushes SET attempts = 1, due_at = :now + interval '1 min'")
        assert verdict(waiting) is Code.PUSH_BACKING_OFF
        write(waiting, "UPDATE devices SET quiet_until = :now + interval '1 min'")
        assert verdict(waiting) is Code.DEVICE_QUIET
        write(
            waiting,
            "INSERT INTO push_channels (pass_type_id, state, reason, failures, since)"
            " SELECT id, 'stopped', 'BadCertificate', 1, :now FROM pass_types WHERE id = :type",
        )
        stopped = report(waiting).verdict
        assert (stopped.code, stopped.values["reason"]) == (Code.CHANNEL_STOPPED, "BadCertificate")
        write(waiting, "UPDATE push_channels SET state = 'paused'")
        assert verdict(waiting) is Code.CHANNEL_PAUSED


def test_the_certificate_ran_out(waiting: Service) -> None:
    """Before anything else is looked for."""
    write(waiting, "UPDATE signing_certificates SET not_after = :now")
    assert verdict(waiting) is Code.CERTIFICATE_EXPIRED
    write(waiting, "DELETE FROM signing_certificates")
    assert verdict(waiting) is Code.CERTIFICATE_MISSING


def test_the_phone_does_not_answer(waiting: Service) -> None:
    """Told a second ago, an hour ago; Apple says that it is gone."""
    pushed(waiting)
    assert verdict(waiting) is Code.ON_ITS_WAY
    later(waiting, hours=1)
    silent = report(waiting).verdict
    assert (silent.code, silent.values["age"]) == (Code.PHONE_SILENT, timedelta(hours=1))
    assert silent.severity is Severity.WAITING
    lost = Event(
        waiting.clock(), EventKind.DEVICE_LOST, waiting.shop.pass_type.id,
        device_id=device_id(waiting), detail={"reason": "Unregistered"},
    )  # fmt: skip
    with waiting.database.write_tx() as session:
        record(session, [lost])
        session.execute(text("DELETE FROM devices"))
    gone = report(waiting)
    assert (gone.verdict.code, gone.verdict.values["reason"]) == (
        Code.DEVICE_GONE,
        "Unregistered",
    )
    assert gone.entries[-1].kind is EntryKind.DEVICE_LOST


def test_nobody_reaches_the_service(waiting: Service) -> None:
    """Apple accepts and no phone ever asks: the address, not the phones."""
    pushed(waiting)
    for number in (1, 2):
        waiting.register(library=f"other-{number}", token="cd" * 32)
        pushed(waiting, library=f"other-{number}")
    waiting.drain()
    later(waiting, minutes=20)
    write(waiting, "DELETE FROM pass_events WHERE kind = 'asked'")
    assert verdict(waiting) is Code.SERVICE_UNREACHABLE


def test_the_phone_asked(waiting: Service) -> None:
    """And is about to fetch, did not fetch, or knew already."""
    tag = f"{waiting.shop.pass_type.epoch}-{waiting.pass_().tag}"
    pushed(waiting)
    ask(waiting, f"{waiting.shop.pass_type.epoch}-1")
    assert verdict(waiting) is Code.FETCHING
    later(waiting, minutes=5)
    assert verdict(waiting) is Code.ASKED_NOT_FETCHED
    ask(waiting, tag)
    assert verdict(waiting) is Code.ASKED_NOT_FETCHED
    write(waiting, "DELETE FROM pass_events WHERE kind = 'asked' AND detail->>'answered' > ''")
    assert verdict(waiting) is Code.TAG_AHEAD
    assert fetch(waiting) == 200
    assert verdict(waiting) is Code.UP_TO_DATE


def test_the_phone_was_told_that_its_copy_is_the_newest(waiting: Service) -> None:
    """304 where a fetch was due."""
    etag = waiting.pass_().digest
    assert etag is not None
    ask(waiting, None)
    assert fetch(waiting, **{"If-None-Match": f'W/"{etag.hex()[:32]}"'}) == 304
    pushed(waiting)
    assert verdict(waiting) is Code.ANSWERED_UNCHANGED


def test_what_the_phone_logged_about_the_pass(waiting: Service) -> None:
    """A line that names the serial number belongs to the pass; others belong to nobody."""
    pushed(waiting)
    serial = waiting.pass_().serial
    lines = [
        f"Get pass task (pass type pass.x, serial number {serial}): Authentication failure",
        "serial number 00000000000000000000: Authentication failure",
    ]
    waiting.client.post("/apple/v1/log", json={"logs": lines})
    told = report(waiting)
    assert told.verdict.code is Code.COMPLAINT_AUTHENTICATION
    logged = [entry for entry in told.entries if entry.kind is EntryKind.LOGGED]
    assert [serial in str(entry.detail["message"]) for entry in logged] == [True]


def test_fetches_belong_to_the_phones_that_asked(waiting: Service) -> None:
    """Two phones: the one that asked and fetched is right, the other is silent."""
    waiting.register(library="second", token="cd" * 32)
    waiting.drain()
    pushed(waiting)
    pushed(waiting, library="second")
    ask(waiting, None, "second")
    fetch(waiting)
    later(waiting, minutes=5)
    found = report(waiting).findings
    assert [finding.code for finding in found] == [Code.PHONE_SILENT, Code.UP_TO_DATE]
    assert len({finding.device for finding in found}) == 2
    ask(waiting, None)
    later(waiting, seconds=1)
    ask(waiting, None, "second")
    fetch(waiting)
    fetch(waiting)
    assert [finding.code for finding in report(waiting).findings] == [Code.UP_TO_DATE] * 2


def test_an_unknown_phone_leaves_no_trace(service: Service) -> None:
    """Anyone may call the list."""
    ask(service, None, "nobody")
    service.installation.events.flush()
    assert service.count("pass_events") == 0


def test_a_phone_that_is_left_out_of_many_breaks_nothing(
    waiting: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its registration is recorded all the same; so is that of one that comes while we read."""
    waiting.register(library="another", token="cd" * 32)
    monkeypatch.setattr(holders, "_MOST", 1)
    told = {finding.device for finding in report(waiting).findings if finding.device}
    assert len(told) == 1
