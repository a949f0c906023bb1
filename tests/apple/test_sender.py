"""The sender against a real database and a push service that can be broken."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from tests.apple.apns import (
    Authority,
    dead_address,
    emulator_fixture,
    emulator_process_fixture,
)
from tests.apple.pushing import (
    LEASE,
    TOPIC,
    Bench,
    bench_fixture,
    in_thread,
    token_of,
)
from walletsvc.apple.apns import ApnsClient
from walletsvc.apple.queue import claim
from walletsvc.apple.sending.sender import Sender
from walletsvc.jobs.changes import Lane

FIXTURES = (emulator_fixture, emulator_process_fixture, bench_fixture)


def test_what_is_due_is_sent_and_gone(bench: Bench) -> None:
    """Every device gets its push, and the queue is empty."""
    bench.queue(bench.add_devices(5))
    sender = bench.sender()
    assert bench.run(sender) == 5
    assert bench.run(sender) == 0
    assert sorted(bench.emulator.accepted()) == [token_of(n) for n in range(1, 6)]
    assert {entry["topic"] for entry in bench.emulator.received()} == {TOPIC}
    assert bench.pushes() == []


def test_what_is_not_due_stays(bench: Bench) -> None:
    """A push of the future is left alone until its time."""
    bench.queue(bench.add_devices(1))
    bench.now -= timedelta(seconds=1)
    assert bench.run(bench.sender()) == 0
    assert len(bench.pushes()) == 1


def test_rows_for_one_device_and_type_are_one_push(bench: Bench) -> None:
    """Three changes before the claim are one push; another pass type is another."""
    [device] = bench.add_devices(1)
    other = bench.add_pass_type("pass.test.other")
    for _ in range(3):
        bench.queue([device])
    bench.queue([device], pass_type=other)
    assert bench.run(bench.sender()) == 2
    topics = Counter(entry["topic"] for entry in bench.emulator.received())
    assert topics == {TOPIC: 1, "pass.test.other": 1}
    assert bench.pushes() == []


def test_rows_for_one_device_fail_together(bench: Bench) -> None:
    """All rows of a refused push come back, at the same time."""
    [device] = bench.add_devices(1)
    for _ in range(3):
        bench.queue([device])
    bench.emulator.fail("InternalServerError")
    bench.run(bench.sender())
    assert len(bench.pushes()) == 3
    assert len({row.due_at for row in bench.pushes()}) == 1


def test_two_senders_never_send_the_same(bench: Bench) -> None:
    """Four senders at once share 800 pushes without sending one twice."""
    devices = bench.add_devices(800)
    bench.queue(devices[:400])
    bench.queue(devices[400:], Lane.INTERACTIVE)
    sent: list[int] = []

    def work(sender: Sender) -> None:
        while count := bench.run(sender):
            sent.append(count)

    threads = [
        threading.Thread(target=work, args=[bench.sender(most=37)], name=f"sender {number}")
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sent) == 800
    assert set(Counter(bench.emulator.accepted()).values()) == {1}
    assert bench.pushes() == []


def test_a_dead_senders_pushes_come_back_after_the_lease(bench: Bench) -> None:
    """A claim that nobody settles holds for the lease and no longer."""
    bench.queue(bench.add_devices(3))
    with bench.database.write_tx() as session:
        taken = claim(session, bench.pass_type, Lane.BULK, now=bench.now, lease=LEASE, limit=10)
    assert len(taken.pushes) == 3
    sender = bench.sender()
    bench.now += LEASE - timedelta(milliseconds=1)
    assert bench.run(sender) == 0
    bench.now += timedelta(milliseconds=1)
    assert bench.run(sender) == 3
    assert bench.pushes() == []


def test_interactive_pushes_go_first(bench: Bench) -> None:
    """Younger interactive pushes overtake older bulk ones."""
    devices = bench.add_devices(60)
    bench.queue(devices[:50], Lane.BULK)
    bench.queue(devices[50:], Lane.INTERACTIVE)
    bench.run(bench.sender())
    assert set(bench.emulator.accepted()[:10]) == {token_of(n) for n in range(51, 61)}
    assert len(bench.emulator.accepted()) == 60


@pytest.mark.parametrize(("streams", "count", "ahead"), [(100, 1500, 500), (3, 150, 40)])
def test_a_purchase_overtakes_a_broadcast(
    bench: Bench, streams: int, count: int, ahead: int
) -> None:
    """What becomes urgent while bulk pushes go out has little ahead of it: not even those that
    are claimed, only those that have left."""
    devices = bench.add_devices(count + 1)
    bench.queue(devices[:count], Lane.BULK)
    bench.emulator.fail("slow", count, seconds=0.05)
    bench.emulator.limit_streams(streams)
    try:
        sender = bench.sender()
        [channel] = sender.look()
        broadcast = in_thread(channel.drain)
        while len(bench.emulator.accepted()) < 20:
            threading.Event().wait(0.01)
        bench.queue(devices[count:], Lane.INTERACTIVE)
        before = len(bench.emulator.accepted())
        sender.look()
        broadcast.join()
    finally:
        bench.emulator.limit_streams(100)
    accepted = bench.emulator.accepted()
    assert accepted.index(token_of(count + 1)) - before < ahead
    assert len(accepted) == count + 1


def test_streams_are_kept_free_for_purchases(bench: Bench) -> None:
    """Bulk pushes that nobody answers do not use up the connection."""
    devices = bench.add_devices(121)
    bench.queue(devices[:120], Lane.BULK)
    bench.emulator.fail("slow", 120, seconds=2)
    sender = bench.sender()
    [channel] = sender.look()
    broadcast = in_thread(channel.drain)
    while len(bench.emulator.received()) < 91:  # the first proves the connection
        threading.Event().wait(0.01)
    bench.queue(devices[120:], Lane.INTERACTIVE)
    sender.look()
    bench.emulator.await_token(token_of(121), seconds=10)
    broadcast.join()
    tokens = [entry["token"] for entry in bench.emulator.received()]
    assert tokens.index(token_of(121)) == 91


def test_a_hanging_pass_type_holds_up_no_other(bench: Bench) -> None:
    """Each has its own connection and goes on by itself."""
    other = bench.add_pass_type("pass.test.other")
    devices = bench.add_devices(60)
    bench.request_seconds = 3.0
    bench.queue(devices)
    bench.emulator.fail("hang", 60)
    stop = threading.Event()
    sender = bench.sender(stop=stop)
    worker = in_thread(lambda: sender.run(lambda _: stop.wait(0.02), 0.02))
    while not bench.emulator.received():
        threading.Event().wait(0.01)
    bench.emulator.disarm()
    bench.queue(devices, pass_type=other)
    bench.emulator.await_token(token_of(60), seconds=2.5)
    stop.set()
    worker.join(timeout=20)
    assert {e["topic"] for e in bench.emulator.received() if e["status"]} == {"pass.test.other"}


@pytest.mark.parametrize("limit", [1, 7])
def test_a_lowered_stream_limit_costs_no_push_an_attempt(bench: Bench, limit: int) -> None:
    """In the middle of a broadcast the service allows fewer streams: nothing waits for one long
    enough to count as unanswered, and nothing is tried twice.

    A push has its answer in a small part of the time it is given, so that a machine that is busy
    elsewhere is no silence; the last of them would wait for much longer than that.
    """
    bench.request_seconds, bench.connect_seconds = 2.0, 1.0
    bench.queue(bench.add_devices(100))
    bench.emulator.fail("slow", 100, seconds=0.06 * limit)
    try:
        [channel] = bench.sender().look()
        broadcast = in_thread(channel.drain)
        while not bench.emulator.accepted():
            threading.Event().wait(0.005)
        bench.emulator.limit_streams(limit)
        broadcast.join()
    finally:
        bench.emulator.limit_streams(100)
    assert bench.pushes() == []
    assert [entry["status"] for entry in bench.emulator.received()] == [200] * 100


@pytest.mark.parametrize(
    "fault", ["goaway", "reset", "refuse", "close", "hang", "silent", "Shutdown"]
)
def test_nothing_is_lost_when_the_connection_breaks(bench: Bench, fault: str) -> None:
    """Whatever happens in the middle of a broadcast, every device gets its push."""
    bench.request_seconds = 0.4
    bench.queue(bench.add_devices(250))
    for number in (1, 120, 240):
        bench.emulator.fail(fault, token=token_of(number))
    bench.until_empty(bench.sender())
    assert set(bench.emulator.accepted()) == {token_of(n) for n in range(1, 251)}
    assert len(bench.rows("SELECT id FROM devices")) == 250


def test_a_service_that_is_down_is_left_alone_for_a_while(bench: Bench) -> None:
    """One push finds out, the others are put back untouched, and the channel rests."""
    bench.queue(bench.add_devices(50))
    pair = Authority().issue(TOPIC)
    clients: list[ApnsClient] = []

    def client_for(pass_type_id: int) -> ApnsClient:
        down = ApnsClient(dead_address(), pair.certificate, pair.key, bench.emulator.ca_file)
        clients.append(down if not clients else bench.client(pass_type_id))
        return clients[-1]

    sender = bench.sender(client_for=client_for)
    bench.run(sender)
    assert Counter(row.attempts for row in bench.pushes()) == {0: 49, 1: 1}
    assert bench.run(sender) == 0
    assert len(clients) == 1
    bench.until_empty(sender)
    assert len(set(bench.emulator.accepted())) == 50


def test_stopping_finishes_what_is_in_flight(bench: Bench) -> None:
    """On stop the answers under way are still settled, and the rest is due at once."""
    bench.queue(bench.add_devices(400))
    bench.emulator.fail("slow", 400, seconds=0.1)
    stop = threading.Event()
    sender = bench.sender(stop=stop)
    worker = in_thread(lambda: sender.run(lambda seconds: stop.wait(seconds), 0.05))
    while not bench.emulator.accepted():
        threading.Event().wait(0.01)
    stop.set()
    worker.join(timeout=10)
    assert not worker.is_alive()
    left = bench.pushes()
    assert left
    assert len(left) + len(bench.emulator.accepted()) == 400
    assert {(row.due_at, row.attempts) for row in left} == {(bench.now, 0)}


def test_a_running_sender_sleeps_when_nothing_is_due_and_wakes(bench: Bench) -> None:
    """It waits between looks, and what was queued meanwhile leaves after the wait."""
    devices = bench.add_devices(1)
    stop = threading.Event()
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            bench.queue(devices)
        else:
            stop.set()

    bench.sender(stop=stop).run(wait, 1.5)
    assert waits == [1.5, 1.5]
    # It may have been told to stop before it began: then nothing left, and nothing is claimed.
    left = [(row.due_at, row.attempts) for row in bench.pushes()]
    assert bench.emulator.accepted() == ([] if left else [token_of(1)])
    assert left in ([], [(bench.now, 0)])


def test_logs_name_pushes_but_neither_tokens_nor_devices(bench: Bench) -> None:
    """One line per batch with counts by answer, one debug line per push with its apns-id."""
    bench.queue(bench.add_devices(3))
    bench.emulator.fail("InternalServerError")
    with capture_logs() as logs:
        bench.run(bench.sender())
    [line] = [entry for entry in logs if entry["log_level"] == "info"]
    assert (line["done"], line["retry"], line["pass_type"]) == (2, 1, TOPIC)
    ids = {entry["apns_id"] for entry in logs if entry["log_level"] == "debug"}
    assert ids == {entry["apns_id"] for entry in bench.emulator.received()}
    said = repr(logs)
    assert not [n for n in (1, 2, 3) if token_of(n) in said or f"library-{n}" in said]
