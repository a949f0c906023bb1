"""Faults of one host, strange answers, implausible losses: what they must not do to the rest."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from tests.apple.apns import emulator_fixture, emulator_process_fixture
from tests.apple.pushing import Bench, bench_fixture, token_of
from tests.apple.test_sending_channels import down, say, status
from walletsvc.apple import channels
from walletsvc.apple.answers import explanation
from walletsvc.apple.apns import ApnsClient
from walletsvc.apple.models import ChannelState
from walletsvc.core.errors import ConfigurationError

FIXTURES = (emulator_fixture, emulator_process_fixture, bench_fixture)


@pytest.mark.parametrize("local", ["no key", "no network"])
def test_a_fault_of_one_host_holds_up_no_other(bench: Bench, local: str) -> None:
    """It is there to be seen as long as it lasts, and the other host sends at once; mended, or
    resumed, the host that had it goes on."""
    broken = [True]

    def client_for(pass_type_id: int) -> ApnsClient:
        if not broken[0]:
            return bench.client(pass_type_id)
        if local == "no key":
            raise ConfigurationError("The key is not there.")
        return down(bench)

    devices = bench.add_devices(5)
    faulty, healthy = bench.sender(client_for=client_for), bench.sender()
    bench.queue(devices)
    for _ in range(4):
        bench.now += timedelta(minutes=20)
        bench.run(faulty)
    found = status(bench)
    assert (found.state, found.failures) == (ChannelState.STOPPED, 0)
    assert ("The key" if local == "no key" else "cannot be reached") in found.reason
    bench.now += timedelta(seconds=0.5)
    assert bench.run(faulty) == 0
    assert bench.run(healthy) >= 4
    assert status(bench).state is ChannelState.STOPPED  # still to be seen
    broken[0] = False
    bench.now += timedelta(seconds=0.1)
    bench.queue(devices)
    assert bench.run(faulty) == 0
    say(bench, channels.resume)
    assert bench.run(faulty) >= 5
    assert status(bench).state is ChannelState.OPEN


def test_a_host_that_is_gone_leaves_no_stop_behind(bench: Bench) -> None:
    """Its fault is taken back by whoever sends when its time is over; a stop of all is not
    written over by it, nor is the operator's word."""
    bench.queue(bench.add_devices(1))
    until = bench.now + timedelta(minutes=1)
    with bench.database.write_tx() as session:
        assert channels.note(session, bench.pass_type, reason="x", retry_at=until, now=bench.now)
    assert status(bench).state is ChannelState.STOPPED
    bench.now = until
    assert bench.run(bench.sender()) == 1
    assert status(bench).state is ChannelState.OPEN
    for verb, options in ((channels.pause, {}), (channels.resume, {"accept_losses": True})):
        say(bench, verb, **options)
        with bench.database.write_tx() as session:
            assert not channels.note(
                session, bench.pass_type, reason="x", retry_at=until, now=bench.now
            )


def test_a_host_without_the_new_key_keeps_its_connection(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works with the former certificate and does not hang up again and again; when the key
    has come, the new one takes over."""
    monkeypatch.setattr("walletsvc.apple.sending.channel._RENEW_SECONDS", -1.0)
    there = bench.client(bench.pass_type).fingerprint
    renewed = "ab" * 32

    def client_for(pass_type_id: int) -> ApnsClient:
        client = bench.client(pass_type_id)
        client.fingerprint = there
        return client

    with bench.database.write_tx() as session:
        session.execute(
            text(
                "INSERT INTO signing_certificates (pass_type_id, state, fingerprint,"
                " certificate_pem, chain_pem, key_file, not_before, not_after, created_at)"
                " VALUES (:id, 'active', :fingerprint, '', '', '', :now, :now, :now)"
            ),
            {"id": bench.pass_type, "fingerprint": renewed, "now": bench.now},
        )
    devices = bench.add_devices(20)
    sender = bench.sender(client_for=client_for)
    for _ in range(3):
        bench.queue(devices)
        assert bench.run(sender) == 20
    assert len({entry["connection"] for entry in bench.emulator.received()}) == 1
    there = renewed
    bench.queue(devices)
    assert bench.run(sender) == 20
    assert len({entry["connection"] for entry in bench.emulator.received()}) == 2


@pytest.mark.parametrize("answer", ["BadPath", "MethodNotAllowed", "PayloadTooLarge"])
def test_a_strange_answer_does_not_empty_the_queue(bench: Bench, answer: str) -> None:
    """Whoever answers so does not open a stopped channel, and what was not tried stays."""
    bench.queue(bench.add_devices(5))
    bench.emulator.fail("Forbidden")
    bench.emulator.fail(answer, 10)
    sender = bench.sender()
    bench.run(sender)
    bench.now += timedelta(minutes=1)
    assert bench.run(sender) == 1
    found = status(bench)
    assert found.state is ChannelState.STOPPED
    assert found.retry_at is not None
    if answer != "PayloadTooLarge":
        assert len(bench.pushes()) == 5
        assert "WALLETSVC_APNS_URL" in found.reason
    bench.emulator.disarm()
    bench.until_empty(sender)


def test_a_reason_is_plain_text() -> None:
    """Nothing that a database or a terminal stumbles over."""
    assert explanation(b'{"reason": "Bad\\u0000Dev\\u001b[1mice"}')[0] == "BadDev[1mice"


def test_what_the_database_refuses_does_not_hold_up_the_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are settled without their events, once."""
    bench.queue(bench.add_devices(3))
    monkeypatch.setattr("walletsvc.apple.sending.outbox.answer_label", lambda _: "a" + chr(0))
    with capture_logs() as logs:
        assert bench.run(bench.sender()) == 3
    assert bench.pushes() == []
    assert [e["event"] for e in logs if e["log_level"] == "error"] == [
        "answers are settled without their events"
    ]


@pytest.mark.parametrize("reason", ["BadDeviceToken", "Unregistered"])
def test_a_small_shop_loses_nothing_by_a_wrong_address(bench: Bench, reason: str) -> None:
    """Without a push that was accepted no phone is forgotten; the channel stops at once, and
    the operator may believe it."""
    bench.queue(bench.add_devices(5))
    bench.emulator.fail(reason, 300)
    sender = bench.sender()
    bench.run(sender)
    assert len(bench.rows("SELECT id FROM devices")) == 5
    found = status(bench)
    assert (found.state, found.retry_at) == (ChannelState.STOPPED, None)
    assert "accept-losses" in found.reason
    bench.now += timedelta(minutes=1)
    assert bench.run(sender) == 0
    say(bench, channels.resume, accept_losses=True)
    bench.run(sender)
    assert bench.rows("SELECT id FROM devices") == []


def test_the_only_phone_is_asked_ever_more_rarely(bench: Bench) -> None:
    """It neither goes nor stops the others, which may come; then it goes, or by the operator."""
    first, second = bench.add_devices(2)
    bench.queue([first])
    bench.emulator.fail("Unregistered", 300, token=token_of(1))
    sender = bench.sender()
    for _ in range(12):
        assert bench.run(sender) == 1
        [row] = bench.pushes()
        wait, bench.now = row.due_at - bench.now, row.due_at
    assert wait >= timedelta(minutes=7)
    assert status(bench).state is ChannelState.OPEN
    bench.queue([second])
    bench.until_empty(sender)
    assert [row.id for row in bench.rows("SELECT id FROM devices")] == [second]


def test_dead_phones_among_the_living_go(bench: Bench) -> None:
    """Whichever is answered first."""
    bench.queue(bench.add_devices(5))
    for number in (1, 2, 3):
        bench.emulator.fail("Unregistered", 9, token=token_of(number))
    bench.until_empty(bench.sender())
    assert len(bench.rows("SELECT id FROM devices")) == 2
    assert status(bench).state is ChannelState.OPEN
