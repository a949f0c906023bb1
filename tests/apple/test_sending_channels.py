"""Circuit breaker, doubt about lost devices, quiet devices, renewed certificates."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from tests.apple.apns import (
    Authority,
    dead_address,
    emulator_fixture,
    emulator_process_fixture,
)
from tests.apple.pushing import TOPIC, Bench, bench_fixture, in_thread, token_of
from walletsvc.apple import channels
from walletsvc.apple.apns import ApnsClient
from walletsvc.apple.channels import ChannelStatus
from walletsvc.apple.models import ChannelState
from walletsvc.core.actor import Actor
from walletsvc.core.errors import NotFound
from walletsvc.jobs import counters
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.counters import series

FIXTURES = (emulator_fixture, emulator_process_fixture, bench_fixture)
ACTOR = Actor("staff", "test")


def status(bench: Bench) -> ChannelStatus:
    """The channel of the bench's pass type."""
    with bench.database.read_tx() as session:
        [found] = [c for c in channels.channels(session) if c.pass_type == TOPIC]
    return found


def say(bench: Bench, verb: Callable[..., list[str]], **options: Any) -> None:
    """Pause or resume the channel."""
    with bench.database.write_tx() as session:
        assert verb(session, TOPIC, actor=ACTOR, now=bench.now, **options) == [TOPIC]


def devices_left(bench: Bench) -> int:
    """How many devices are not forgotten."""
    return len(bench.rows("SELECT id FROM devices"))


def down(bench: Bench) -> ApnsClient:
    """A client of a service that is down."""
    pair = Authority().issue(TOPIC)
    return ApnsClient(dead_address(), pair.certificate, pair.key, bench.emulator.ca_file)


def test_a_stop_is_seen_and_obeyed_by_all_senders(bench: Bench) -> None:
    """What one sender learnt keeps the others from asking; the reason is there in words."""
    bench.queue(bench.add_devices(5))
    bench.emulator.fail("BadCertificate")
    bench.run(bench.sender())
    found = status(bench)
    assert found.state is ChannelState.STOPPED
    assert "403 BadCertificate" in found.reason
    assert "certs check" in found.reason
    assert found.retry_at is not None
    assert found.waiting[Lane.BULK].pushes == 5
    other = bench.sender()
    assert bench.run(other) == 0
    assert len(bench.emulator.received()) == 1
    bench.now = found.retry_at
    assert bench.run(other) == 5
    assert status(bench).state is ChannelState.OPEN
    assert status(bench).reason == ""


def test_a_stopped_channel_is_probed_with_one_push_by_one_sender(bench: Bench) -> None:
    """When the time has come one sender tries one push; failing, it waits longer."""
    bench.queue(bench.add_devices(20))
    bench.emulator.fail("BadCertificate", 3)
    senders = [bench.sender() for _ in range(4)]
    bench.run(senders[0])
    first = status(bench)
    assert first.retry_at is not None
    bench.now = first.retry_at
    threads = [in_thread(partial(bench.run, s)) for s in senders]
    for thread in threads:
        thread.join()
    assert len(bench.emulator.received()) == 2
    second = status(bench)
    assert (second.state, second.failures, second.since) == (ChannelState.STOPPED, 2, first.since)


@pytest.mark.parametrize("answer", ["InternalServerError", "ServiceUnavailable"])
def test_a_probe_that_proves_nothing_leaves_the_channel_stopped(bench: Bench, answer: str) -> None:
    """Only a push that Apple judged opens it."""
    bench.queue(bench.add_devices(3))
    bench.emulator.fail("Forbidden")
    bench.emulator.fail(answer)
    sender = bench.sender()
    bench.run(sender)
    bench.now += timedelta(minutes=1)
    assert bench.run(sender) == 1
    assert status(bench).state is ChannelState.STOPPED
    bench.now += timedelta(minutes=2)
    bench.until_empty(sender)
    assert status(bench).state is ChannelState.OPEN


def test_lasting_trouble_with_the_connection_becomes_visible(bench: Bench) -> None:
    """A few rests are a passing thing; then the channel says that the service is away."""
    bench.queue(bench.add_devices(3))
    clients = [down(bench) for _ in range(5)]
    sender = bench.sender(client_for=lambda id_: clients.pop() if clients else bench.client(id_))
    for _ in range(3):
        bench.run(sender)
        assert status(bench).state is ChannelState.OPEN
        bench.now += timedelta(minutes=20)
    bench.run(sender)
    found = status(bench)
    assert found.state is ChannelState.STOPPED
    assert "cannot be reached" in found.reason
    assert found.retry_at is not None
    assert timedelta(seconds=1) <= found.retry_at - bench.now <= timedelta(seconds=2)
    bench.now += timedelta(minutes=20)
    bench.run(sender)
    assert (status(bench).state, status(bench).failures) == (ChannelState.STOPPED, 0)
    bench.now += timedelta(minutes=20)
    bench.until_empty(sender)
    assert status(bench).state is ChannelState.OPEN


def test_a_paused_channel_waits_for_the_operator(bench: Bench) -> None:
    """Nothing leaves, however long; resumed, everything does. Faults do not end a pause."""
    bench.queue(bench.add_devices(3))
    say(bench, channels.pause)
    sender = bench.sender()
    assert bench.run(sender) == 0
    bench.now += timedelta(days=1)
    assert bench.run(sender) == 0
    with bench.database.write_tx() as session:
        channels.stop(session, bench.pass_type, reason="x", failures=1, retry_at=bench.now,
                      now=bench.now)  # fmt: skip
    assert status(bench).state is ChannelState.PAUSED
    assert str(ACTOR) in status(bench).reason
    say(bench, channels.resume)
    assert bench.run(sender) == 3


def test_a_pause_is_obeyed_in_the_middle_of_a_broadcast(bench: Bench) -> None:
    """What is in flight is finished; what did not leave is as if it had not been claimed."""
    bench.queue(bench.add_devices(600))
    bench.emulator.fail("slow", 600, seconds=0.1)
    sender = bench.sender()
    [channel] = sender.look()
    broadcast = in_thread(channel.drain)
    while not bench.emulator.accepted():
        threading.Event().wait(0.01)
    say(bench, channels.pause)
    sender.look()
    broadcast.join()
    left = bench.pushes()
    assert len(left) + len(bench.emulator.accepted()) == 600
    assert left
    assert {(row.due_at, row.attempts) for row in left} == {(bench.now, 0)}


def test_an_unknown_pass_type_is_refused(bench: Bench) -> None:
    """Pause and resume name what they do not know."""
    with bench.database.write_tx() as session, pytest.raises(NotFound, match=r"pass\.none"):
        channels.resume(session, "pass.none", actor=ACTOR, now=bench.now)


@pytest.mark.parametrize("reason", ["BadDeviceToken", "Unregistered"])
def test_implausible_losses_stop_the_channel_and_spare_the_devices(
    bench: Bench, reason: str
) -> None:
    """A wrong push address calls all devices gone: nearly all of them stay, and only the
    operator starts it again."""
    bench.queue(bench.add_devices(300))
    bench.emulator.fail(reason, 300)
    sender = bench.sender()
    bench.run(sender)
    assert devices_left(bench) > 280
    found = status(bench)
    assert (found.state, found.retry_at) == (ChannelState.STOPPED, None)
    assert "calls most devices gone" in found.reason
    left = devices_left(bench)
    bench.now += timedelta(days=30)
    assert bench.run(sender) == 0
    bench.emulator.disarm()
    say(bench, channels.resume)
    assert bench.run(sender) == left
    assert bench.pushes() == []


def test_losses_go_when_the_operator_accepts_them(bench: Bench) -> None:
    """Then all devices that are gone indeed are forgotten."""
    bench.queue(bench.add_devices(100))
    bench.emulator.fail("BadDeviceToken", 300)
    sender = bench.sender()
    bench.run(sender)
    assert devices_left(bench) > 80
    bench.now += timedelta(minutes=1)
    say(bench, channels.resume, accept_losses=True)
    bench.run(sender)
    assert devices_left(bench) == 0
    assert status(bench).state is ChannelState.OPEN


def test_a_few_dead_tokens_go_as_ever(bench: Bench) -> None:
    """A third of the devices is gone: plausible."""
    bench.queue(bench.add_devices(150))
    for number in range(3, 151, 3):
        bench.emulator.fail("Unregistered", token=token_of(number))
    bench.until_empty(bench.sender())
    assert devices_left(bench) == 100
    assert status(bench).state is ChannelState.OPEN


def test_a_quiet_device_gets_nothing_of_any_kind(bench: Bench) -> None:
    """After 429 its rows of all lanes and pass types wait, and leave as one push per type."""
    other = bench.add_pass_type("pass.test.other")
    [device] = bench.add_devices(1)
    bench.queue([device])
    bench.emulator.fail("TooManyRequests")
    sender = bench.sender()
    bench.run(sender)
    [(quiet,)] = bench.rows("SELECT quiet_until FROM devices")
    assert quiet - bench.now >= timedelta(minutes=1)
    for lane in (Lane.INTERACTIVE, Lane.INTERACTIVE, Lane.BULK):
        bench.queue([device], lane)
    bench.queue([device], Lane.INTERACTIVE, other)
    assert bench.run(sender) == 0
    assert {row.due_at for row in bench.pushes()} == {quiet}
    bench.now = quiet - timedelta(milliseconds=1)
    assert bench.run(sender) == 0
    bench.now = quiet
    assert bench.run(sender) == 2
    assert [entry["topic"] for entry in bench.emulator.received() if entry["status"] == 200] in (
        [TOPIC, "pass.test.other"],
        ["pass.test.other", TOPIC],
    )
    assert bench.pushes() == []


def test_every_answer_is_an_event_and_counted(bench: Bench) -> None:
    """Timeline and counters get each answer in the transaction that settles it."""
    devices = bench.add_devices(4)
    bench.queue(devices[3:])
    sender = bench.sender()
    bench.run(sender)  # one is accepted: from now on lost devices are believed
    bench.queue(devices)
    bench.emulator.fail("Unregistered", token=token_of(1))
    bench.emulator.fail("InternalServerError", token=token_of(2))
    bench.emulator.fail("reset", token=token_of(3))
    before = counted(bench)
    bench.run(sender)
    events = bench.rows("SELECT kind, device_id, detail FROM pass_events ORDER BY id")
    pushed = {e.detail["action"]: e.detail for e in events if e.kind == "pushed"}
    assert set(pushed) == {"done", "retry", "unregistered"}
    assert pushed["done"]["status"] == 200
    assert pushed["done"]["attempts"] == 1
    assert pushed["unregistered"]["reason"] == "Unregistered"
    assert all(detail["apns_id"] for detail in pushed.values())
    [lost] = [e for e in events if e.kind == "device-lost"]
    assert lost.detail == {"reason": "Unregistered"}
    now = counted(bench)
    assert {key: now[key] - before.get(key, 0) for key in now} == {
        "200": 1,
        "410 Unregistered": 1,
        "500 InternalServerError": 1,
        "stream": 1,
    }


def counted(bench: Bench) -> dict[str, int]:
    """The counters of the bench's pass type, by answer."""
    with bench.database.read_tx() as session:
        found = counters.read(session)
    answers = ("200", "410 Unregistered", "500 InternalServerError", "stream")
    keys = {series("pushes", pass_type=TOPIC, answer=answer): answer for answer in answers}
    return {keys[key]: value for key, value in found.items() if key in keys}


def test_a_renewed_certificate_is_taken_up_without_a_stop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in flight is finished on the old connection; the next pushes use the new one."""
    monkeypatch.setattr("walletsvc.apple.sending.channel._RENEW_SECONDS", 0.0)
    clients: list[ApnsClient] = []
    renewed = "ab" * 32

    def client_for(pass_type_id: int) -> ApnsClient:
        clients.append(bench.client(pass_type_id))
        if len(clients) > 1:
            clients[-1].fingerprint = renewed
        return clients[-1]

    bench.queue(bench.add_devices(300))
    bench.emulator.fail("slow", 300, seconds=0.05)
    sender = bench.sender(client_for=client_for)
    [channel] = sender.look()
    broadcast = in_thread(channel.drain)
    while len(bench.emulator.accepted()) < 50:
        threading.Event().wait(0.01)
    with bench.database.write_tx() as session:
        session.execute(
            text(
                "INSERT INTO signing_certificates (pass_type_id, state, fingerprint,"
                " certificate_pem, chain_pem, key_file, not_before, not_after, created_at)"
                " VALUES (:id, 'active', :fingerprint, '', '', '', :now, :now, :now)"
            ),
            {"id": bench.pass_type, "fingerprint": renewed, "now": bench.now},
        )
    sender.look()
    broadcast.join()
    assert len(clients) == 2
    entries = bench.emulator.received()
    assert [entry["status"] for entry in entries] == [200] * 300
    assert len({entry["connection"] for entry in entries}) == 2
    assert bench.pushes() == []
