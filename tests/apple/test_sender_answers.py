"""What the sender does with Apple's answers, and with devices that register meanwhile."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from tests.apple.apns import (
    emulator_fixture,
    emulator_process_fixture,
)
from tests.apple.pushing import (
    LEASE,
    Bench,
    bench_fixture,
    in_thread,
    milliseconds,
    token_of,
)
from walletsvc.apple.apns import ApnsClient
from walletsvc.apple.pushes import Outcome, PushRequest
from walletsvc.apple.queue import Claimed, Settlement, claim, settle
from walletsvc.apple.rules import verdict
from walletsvc.core.errors import ConfigurationError
from walletsvc.jobs.changes import Lane

FIXTURES = (emulator_fixture, emulator_process_fixture, bench_fixture)


def test_a_retry_comes_later_and_as_the_same_push(bench: Bench) -> None:
    """Half a second to a second later, counted, with the same apns-id."""
    bench.queue(bench.add_devices(1))
    bench.emulator.fail("InternalServerError")
    sender = bench.sender()
    bench.run(sender)
    [row] = bench.pushes()
    assert row.attempts == 1
    assert timedelta(seconds=0.5) <= row.due_at - bench.now <= timedelta(seconds=1)
    assert bench.run(sender) == 0
    bench.now = row.due_at
    assert bench.run(sender) == 1
    first, second = bench.emulator.received()
    assert (first["status"], second["status"]) == (500, 200)
    assert first["apns_id"] == second["apns_id"]


def test_retries_wait_longer_each_time(bench: Bench) -> None:
    """The tenth failure waits for minutes."""
    bench.queue(bench.add_devices(1))
    bench.emulator.fail("InternalServerError", 10)
    sender = bench.sender()
    waits = []
    for _ in range(10):
        bench.run(sender)
        [row] = bench.pushes()
        waits.append(row.due_at - bench.now)
        bench.now = row.due_at
    assert waits[0] <= timedelta(seconds=1)
    assert waits[-1] >= timedelta(minutes=4)


def test_a_phone_pushed_too_often_waits_a_minute(bench: Bench) -> None:
    """429 holds that phone back, not the others."""
    bench.queue(bench.add_devices(5))
    bench.emulator.fail("TooManyRequests", token=token_of(2))
    bench.run(bench.sender())
    [row] = bench.pushes()
    assert row.due_at - bench.now >= timedelta(minutes=1)
    assert len(bench.emulator.accepted()) == 4


def test_an_unknown_token_goes(bench: Bench) -> None:
    """Apple never knew the token: the device is forgotten with its pushes."""
    devices = bench.add_devices(2)
    bench.queue(devices)
    bench.emulator.fail("BadDeviceToken", 9, token=token_of(1))
    bench.until_empty(bench.sender())
    assert [row.id for row in bench.rows("SELECT id FROM devices")] == devices[1:]
    assert bench.pushes() == []


def test_an_unregistered_device_goes(bench: Bench) -> None:
    """410 from after the last registration deletes the device and what waits for it."""
    devices = bench.add_devices(2)
    bench.queue(devices)
    bench.queue(devices)
    bench.emulator.fail("Unregistered", 9, token=token_of(1), timestamp=milliseconds(bench.now))
    bench.until_empty(bench.sender())
    assert [row.id for row in bench.rows("SELECT id FROM devices")] == devices[1:]
    assert bench.pushes() == []


@pytest.mark.parametrize(
    ("reason", "left"), [("Unregistered", 1), ("ExpiredToken", 0), ("BadDeviceToken", 0)]
)
def test_a_phone_gone_for_one_pass_type_keeps_the_others(
    bench: Bench, reason: str, left: int
) -> None:
    """410 Unregistered is about the topic; a dead token is about the phone."""
    other = bench.add_pass_type("pass.test.other")
    [device] = bench.add_devices(1)
    with bench.database.write_tx() as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))  # no passes needed
        session.execute(
            text(
                "INSERT INTO registrations (device_id, pass_id, pass_type_id, tag, created_at)"
                " VALUES (:device, 1, :one, 0, :now), (:device, 2, :other, 0, :now)"
            ),
            {"device": device, "one": bench.pass_type, "other": other, "now": bench.now},
        )
    bench.queue([device])
    bench.queue([device], pass_type=other)
    everywhere = reason != "Unregistered"
    settlement = Settlement(bench.pass_type)
    settlement.forget(claimed(bench), bench.now, bench.now, reason, everywhere=everywhere)
    assert verdict(Outcome(PushRequest(1, "", ""), 400 if reason[0] == "B" else 410, reason, "",
                           None, None)).everywhere is everywhere  # fmt: skip
    with bench.database.write_tx() as session:
        assert settle(session, settlement, now=bench.now) == 1
    for table in ("pushes", "registrations"):
        found = bench.rows(f"SELECT pass_type_id FROM {table}")
        assert [row.pass_type_id for row in found] == [other] * left
    assert len(bench.rows("SELECT id FROM devices")) == left
    [lost] = bench.rows("SELECT detail FROM pass_events WHERE kind = 'device-lost'")
    assert lost.detail == {"reason": reason}


def test_a_device_that_registered_later_stays(bench: Bench) -> None:
    """410 from before the last registration is old news: the push is tried again."""
    [device] = bench.add_devices(1)
    bench.queue([device])
    since = milliseconds(bench.now - timedelta(seconds=1))
    bench.emulator.fail("Unregistered", timestamp=since)
    sender = bench.sender()
    bench.run(sender)
    assert len(bench.rows("SELECT id FROM devices")) == 1
    assert len(bench.pushes()) == 1
    bench.until_empty(sender)
    assert bench.emulator.accepted() == [token_of(1)]


def claimed(bench: Bench) -> Claimed:
    """The one push that is due, claimed."""
    with bench.database.write_tx() as session:
        taken = claim(session, bench.pass_type, Lane.BULK, now=bench.now, lease=LEASE, limit=10)
        [push] = taken.pushes
    return push


REGISTER = text("UPDATE devices SET push_token = :token, registered_at = :now WHERE id = :id")


@pytest.mark.parametrize("since", [timedelta(), None])
def test_a_new_token_saves_the_device(bench: Bench, since: timedelta | None) -> None:
    """The token changed while the push was on its way: the next one goes to the new token."""
    [device] = bench.add_devices(1)
    bench.queue([device])
    push = claimed(bench)
    settlement = Settlement(bench.pass_type)
    settlement.forget(push, None if since is None else bench.now + since, bench.now)
    with bench.database.write_tx() as session:
        session.execute(REGISTER, {"token": "ee" * 32, "now": bench.now, "id": device})
    with bench.database.write_tx() as session:
        assert settle(session, settlement, now=bench.now) == 0
    assert [(row.id, row.due_at) for row in bench.pushes()] == [(push.ids[0], bench.now)]
    bench.now += LEASE
    bench.until_empty(bench.sender())
    assert bench.emulator.accepted() == ["ee" * 32]


def waits_for_a_lock(bench: Bench) -> None:
    """Return once some statement of this database waits for a row."""
    for _ in range(500):
        if bench.rows(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        ):
            return
        threading.Event().wait(0.01)
    pytest.fail("nothing waits")


def test_a_registration_that_commits_first_wins(bench: Bench) -> None:
    """The deletion waits for the registration and then finds nothing to delete."""
    [device] = bench.add_devices(1)
    bench.queue([device])
    settlement = Settlement(bench.pass_type)
    settlement.forget(claimed(bench), bench.now, bench.now)
    gone: list[int] = []

    def forget() -> None:
        with bench.database.write_tx() as session:
            gone.append(settle(session, settlement, now=bench.now))

    with bench.database.write_tx() as session:
        later = bench.now + timedelta(seconds=1)
        session.execute(REGISTER, {"token": token_of(1), "now": later, "id": device})
        thread = in_thread(forget)
        waits_for_a_lock(bench)
    thread.join()
    assert gone == [0]
    assert len(bench.rows("SELECT id FROM devices")) == 1
    assert [row.due_at for row in bench.pushes()] == [bench.now]


def test_a_registration_after_the_deletion_starts_anew(bench: Bench) -> None:
    """The registration waits for the deletion and then makes the device again."""
    [device] = bench.add_devices(1)
    bench.queue([device])
    settlement = Settlement(bench.pass_type)
    settlement.forget(claimed(bench), bench.now, bench.now)
    upsert = text(
        "INSERT INTO devices (library_identifier, push_token, registered_at, created_at)"
        " VALUES ('library-1', 'new', :now, :now) ON CONFLICT (library_identifier)"
        " DO UPDATE SET push_token = EXCLUDED.push_token, registered_at = EXCLUDED.registered_at"
    )

    def register() -> None:
        with bench.database.write_tx() as session:
            session.execute(upsert, {"now": bench.now})

    with bench.database.write_tx() as session:
        assert settle(session, settlement, now=bench.now) == 1
        thread = in_thread(register)
        waits_for_a_lock(bench)
    thread.join()
    [row] = bench.rows("SELECT id, push_token FROM devices")
    assert row.push_token == "new"
    assert row.id != device


@pytest.mark.parametrize("reason", ["DeviceTokenNotForTopic", "BadCertificate"])
def test_a_configuration_fault_stops_its_pass_type_and_deletes_nothing(
    bench: Bench, reason: str
) -> None:
    """All rows stay, the other pass type goes on, an error names the reason, and it is tried
    again after a while."""
    devices = bench.add_devices(3)
    other = bench.add_pass_type("pass.test.other")
    bench.queue(devices)
    bench.emulator.fail(reason)
    sender = bench.sender()
    with capture_logs() as logs:
        bench.run(sender)
    [error] = [entry for entry in logs if entry["log_level"] == "error"]
    assert reason in error["reason"]
    assert "check" in error["reason"]
    assert len(bench.rows("SELECT id FROM devices")) == 3
    assert [(row.due_at, row.attempts) for row in bench.pushes()] == [(bench.now, 0)] * 3
    bench.queue(devices, pass_type=other)
    assert bench.run(sender) == 3
    assert len(bench.pushes()) == 3
    assert bench.run(sender) == 0
    bench.now += timedelta(seconds=30)
    bench.run(sender)
    assert bench.pushes() == []


def test_a_stopped_pass_type_is_tried_ever_more_rarely(bench: Bench) -> None:
    """The pause grows while the fault lasts, and starts small again afterwards."""
    bench.queue(bench.add_devices(1))
    bench.emulator.fail("Forbidden", 6)
    sender = bench.sender()
    pauses = []
    with capture_logs() as logs:
        for _ in range(6):
            bench.run(sender)
            bench.now += timedelta(hours=1)
    pauses = [entry["next_try_seconds"] for entry in logs if "next_try_seconds" in entry]
    assert len(pauses) == 6
    assert pauses[0] <= 30
    assert pauses[5] >= 450
    bench.run(sender)
    assert bench.pushes() == []


def test_a_missing_certificate_stops_its_pass_type_alone(bench: Bench) -> None:
    """Whoever cannot make a client says why; the rows wait."""
    other = bench.add_pass_type("pass.test.other")
    devices = bench.add_devices(2)
    bench.queue(devices)
    bench.queue(devices, pass_type=other)

    def client_for(pass_type_id: int) -> ApnsClient:
        if pass_type_id == other:
            raise ConfigurationError("There is no certificate for pass.test.other.")
        return bench.client(pass_type_id)

    with capture_logs() as logs:
        assert bench.run(bench.sender(client_for=client_for)) == 2
    assert [row.pass_type_id for row in bench.pushes()] == [other, other]
    [error] = [entry for entry in logs if entry["log_level"] == "error"]
    assert error["reason"] == "There is no certificate for pass.test.other."


def test_our_own_mistake_is_reported_once(bench: Bench) -> None:
    """A push that Apple finds malformed is not sent again, and the device stays."""
    bench.queue(bench.add_devices(1))
    bench.emulator.fail("PayloadTooLarge")
    with capture_logs() as logs:
        bench.run(bench.sender())
    assert bench.pushes() == []
    assert len(bench.rows("SELECT id FROM devices")) == 1
    [error] = [entry for entry in logs if entry["log_level"] == "error"]
    assert error["reason"] == "PayloadTooLarge"
