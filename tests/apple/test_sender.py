"""The sender against a real database and a push service that can be broken."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Row
from structlog.testing import capture_logs

from tests.apple.apns import (
    Authority,
    Emulator,
    dead_address,
    emulator_fixture,
    emulator_process_fixture,
)
from walletsvc.apple.apns import ApnsClient
from walletsvc.apple.queue import Claimed, Settlement, claim, forget_devices
from walletsvc.apple.sender import Sender
from walletsvc.core.errors import ConfigurationError
from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import Database

FIXTURES = (emulator_fixture, emulator_process_fixture)
TOPIC = "pass.test.sender"
LEASE = timedelta(seconds=60)


def token_of(device: int) -> str:
    """The push token of the test device with this number."""
    return f"{device:064x}"


class Bench:
    """A database with pass types and devices, a clock to turn, and senders."""

    def __init__(self, database: Database, emulator: Emulator, now: datetime) -> None:
        self.database = database
        self.emulator = emulator
        self.now = now
        self.request_seconds = 30.0
        self._senders: list[Sender] = []
        self.pass_type = self.add_pass_type(TOPIC)

    def add_pass_type(self, topic: str) -> int:
        """Make a pass type; returns its id."""
        return self._insert(
            "INSERT INTO pass_types (identifier, team_identifier, epoch, counter, created_at)"
            " VALUES (:topic, 'TEST000001', 1, 0, :now) RETURNING id",
            topic=topic,
        )

    def add_devices(self, count: int) -> list[int]:
        """Make devices numbered from 1; returns their ids, in that order."""
        return [
            self._insert(
                "INSERT INTO devices (library_identifier, push_token, registered_at, created_at)"
                " VALUES (:library, :token, :now, :now) RETURNING id",
                library=f"library-{number}",
                token=token_of(number),
            )
            for number in range(1, count + 1)
        ]

    def queue(
        self, devices: list[int], lane: Lane = Lane.BULK, pass_type: int | None = None
    ) -> None:
        """Queue one push per device."""
        with self.database.write_tx() as session:
            session.execute(
                text(
                    "INSERT INTO pushes (device_id, pass_type_id, lane, due_at, attempts,"
                    " created_at) SELECT d, :type, :lane, :now, 0, :now"
                    " FROM unnest(CAST(:devices AS bigint[])) d"
                ),
                {
                    "devices": devices,
                    "type": pass_type or self.pass_type,
                    "lane": int(lane),
                    "now": self.now,
                },
            )

    def sender(self, **options: Any) -> Sender:
        """A sender of its own connection and chance."""
        options.setdefault("client_for", self.client)
        sender = Sender(
            self.database, clock=lambda: self.now, lease=LEASE, rng=random.Random(1), **options
        )
        self._senders.append(sender)
        return sender

    def client(self, pass_type_id: int) -> ApnsClient:
        """A client for the topic of a pass type."""
        [(topic,)] = self.rows("SELECT identifier FROM pass_types WHERE id = :id", id=pass_type_id)
        return self.emulator.client(topic, request_seconds=self.request_seconds)

    def rows(self, query: str, **values: Any) -> list[Row[Any]]:
        """What a query finds."""
        with self.database.read_tx() as session:
            return list(session.execute(text(query), values))

    def pushes(self) -> list[Row[Any]]:
        """The queue, by id."""
        return self.rows("SELECT * FROM pushes ORDER BY id")

    def until_empty(self, sender: Sender, rounds: int = 30) -> None:
        """Run the sender, an hour later each time, until nothing is queued."""
        for _ in range(rounds):
            while sender.run_once():
                pass
            if not self.pushes():
                return
            self.now += timedelta(hours=1)
        pytest.fail("pushes stay in the queue")

    def _insert(self, query: str, **values: Any) -> int:
        with self.database.write_tx() as session:
            return int(session.execute(text(query), {"now": self.now, **values}).scalar_one())

    def close(self) -> None:
        """Close all connections."""
        for sender in self._senders:
            sender.close()


@pytest.fixture
def bench(database: Database, emulator: Emulator, now: datetime) -> Iterator[Bench]:
    """An empty queue and a push service that accepts everything."""
    bench = Bench(database, emulator, now)
    yield bench
    bench.close()


def milliseconds(moment: datetime) -> int:
    """A moment as Apple writes it."""
    return int(moment.timestamp() * 1000)


def test_what_is_due_is_sent_and_gone(bench: Bench) -> None:
    """Every device gets its push, and the queue is empty."""
    bench.queue(bench.add_devices(5))
    sender = bench.sender()
    assert sender.run_once() == 5
    assert sender.run_once() == 0
    assert sorted(bench.emulator.accepted()) == [token_of(n) for n in range(1, 6)]
    assert {entry["topic"] for entry in bench.emulator.received()} == {TOPIC}
    assert bench.pushes() == []


def test_what_is_not_due_stays(bench: Bench) -> None:
    """A push of the future is left alone until its time."""
    bench.queue(bench.add_devices(1))
    bench.now -= timedelta(seconds=1)
    assert bench.sender().run_once() == 0
    assert len(bench.pushes()) == 1


def test_rows_for_one_device_and_type_are_one_push(bench: Bench) -> None:
    """Three changes before the claim are one push; another pass type is another."""
    [device] = bench.add_devices(1)
    other = bench.add_pass_type("pass.test.other")
    for _ in range(3):
        bench.queue([device])
    bench.queue([device], pass_type=other)
    assert bench.sender().run_once() == 2
    topics = Counter(entry["topic"] for entry in bench.emulator.received())
    assert topics == {TOPIC: 1, "pass.test.other": 1}
    assert bench.pushes() == []


def test_rows_for_one_device_fail_together(bench: Bench) -> None:
    """All rows of a refused push come back, at the same time."""
    [device] = bench.add_devices(1)
    for _ in range(3):
        bench.queue([device])
    bench.emulator.fail("InternalServerError")
    bench.sender().run_once()
    assert len(bench.pushes()) == 3
    assert len({row.due_at for row in bench.pushes()}) == 1


def test_two_senders_never_send_the_same(bench: Bench) -> None:
    """Four senders at once share 800 pushes without sending one twice."""
    bench.queue(bench.add_devices(400))
    bench.queue([row.id for row in bench.rows("SELECT id FROM devices")], Lane.INTERACTIVE)
    sent: list[int] = []

    def work(sender: Sender) -> None:
        while count := sender.run_once():
            sent.append(count)

    threads = [
        threading.Thread(target=work, args=[bench.sender(batch=37)], name=f"sender {number}")
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sent) == 800
    assert set(Counter(bench.emulator.accepted()).values()) == {2}
    assert bench.pushes() == []


def test_a_dead_senders_pushes_come_back_after_the_lease(bench: Bench) -> None:
    """A claim that nobody settles holds for the lease and no longer."""
    bench.queue(bench.add_devices(3))
    with bench.database.write_tx() as session:
        assert len(claim(session, Lane.BULK, now=bench.now, lease=LEASE, limit=10)) == 3
    sender = bench.sender()
    bench.now += LEASE - timedelta(milliseconds=1)
    assert sender.run_once() == 0
    bench.now += timedelta(milliseconds=1)
    assert sender.run_once() == 3
    assert bench.pushes() == []


def test_interactive_pushes_go_first(bench: Bench) -> None:
    """Younger interactive pushes overtake older bulk ones."""
    devices = bench.add_devices(60)
    bench.queue(devices[:50], Lane.BULK)
    bench.queue(devices[50:], Lane.INTERACTIVE)
    bench.sender().run_once()
    assert set(bench.emulator.accepted()[:10]) == {token_of(n) for n in range(51, 61)}
    assert len(bench.emulator.accepted()) == 60


def test_interactive_pushes_go_between_bulk_batches(bench: Bench) -> None:
    """A purchase in the middle of a broadcast waits for one batch, not for all of it."""
    devices = bench.add_devices(101)
    bench.queue(devices[:100], Lane.BULK)
    sender = bench.sender(batch=20)
    sender.run_once()
    bench.queue(devices[100:], Lane.INTERACTIVE)
    sender.run_once()
    assert bench.emulator.accepted()[20] == token_of(101)


def test_a_slow_service_does_not_keep_purchases_waiting(bench: Bench) -> None:
    """A bulk batch that crawls is cut off after about a second, and what did not leave is
    due again as if it had not been claimed."""
    bench.queue(bench.add_devices(300))
    bench.emulator.fail("slow", 300, seconds=0.6)
    sent = bench.sender().run_once()
    assert 0 < sent < 300
    rest = bench.pushes()
    assert len(rest) == 300 - sent
    assert {(row.due_at, row.attempts) for row in rest} == {(bench.now, 0)}


def test_a_retry_comes_later_and_as_the_same_push(bench: Bench) -> None:
    """Half a second to a second later, counted, with the same apns-id."""
    bench.queue(bench.add_devices(1))
    bench.emulator.fail("InternalServerError")
    sender = bench.sender()
    sender.run_once()
    [row] = bench.pushes()
    assert row.attempts == 1
    assert timedelta(seconds=0.5) <= row.due_at - bench.now <= timedelta(seconds=1)
    assert sender.run_once() == 0
    bench.now = row.due_at
    assert sender.run_once() == 1
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
        sender.run_once()
        [row] = bench.pushes()
        waits.append(row.due_at - bench.now)
        bench.now = row.due_at
    assert waits[0] <= timedelta(seconds=1)
    assert waits[-1] >= timedelta(minutes=4)


def test_a_phone_pushed_too_often_waits_a_minute(bench: Bench) -> None:
    """429 holds that phone back, not the others."""
    bench.queue(bench.add_devices(5))
    bench.emulator.fail("TooManyRequests", token=token_of(2))
    bench.sender().run_once()
    [row] = bench.pushes()
    assert row.due_at - bench.now >= timedelta(minutes=1)
    assert len(bench.emulator.accepted()) == 4


def test_an_unknown_token_goes(bench: Bench) -> None:
    """Apple never knew the token: the device is forgotten with its pushes."""
    devices = bench.add_devices(2)
    bench.queue(devices)
    bench.emulator.fail("BadDeviceToken", token=token_of(1))
    bench.sender().run_once()
    assert [row.id for row in bench.rows("SELECT id FROM devices")] == devices[1:]
    assert bench.pushes() == []


def test_an_unregistered_device_goes(bench: Bench) -> None:
    """410 from after the last registration deletes the device and what waits for it."""
    devices = bench.add_devices(2)
    bench.queue(devices)
    bench.queue(devices)
    bench.emulator.fail("Unregistered", token=token_of(1), timestamp=milliseconds(bench.now))
    bench.sender().run_once()
    assert [row.id for row in bench.rows("SELECT id FROM devices")] == devices[1:]
    assert bench.pushes() == []


def test_a_device_that_registered_later_stays(bench: Bench) -> None:
    """410 from before the last registration is old news: the push is tried again."""
    [device] = bench.add_devices(1)
    bench.queue([device])
    since = milliseconds(bench.now - timedelta(seconds=1))
    bench.emulator.fail("Unregistered", timestamp=since)
    sender = bench.sender()
    sender.run_once()
    assert len(bench.rows("SELECT id FROM devices")) == 1
    assert len(bench.pushes()) == 1
    bench.until_empty(sender)
    assert bench.emulator.accepted() == [token_of(1)]


def claimed(bench: Bench) -> Claimed:
    """The one push that is due, claimed."""
    with bench.database.write_tx() as session:
        [push] = claim(session, Lane.BULK, now=bench.now, lease=LEASE, limit=10)
    return push


REGISTER = text("UPDATE devices SET push_token = :token, registered_at = :now WHERE id = :id")


@pytest.mark.parametrize("since", [timedelta(), None])
def test_a_new_token_saves_the_device(bench: Bench, since: timedelta | None) -> None:
    """The token changed while the push was on its way: the next one goes to the new token."""
    [device] = bench.add_devices(1)
    bench.queue([device])
    push = claimed(bench)
    settlement = Settlement()
    settlement.forget(push, None if since is None else bench.now + since, bench.now)
    with bench.database.write_tx() as session:
        session.execute(REGISTER, {"token": "ee" * 32, "now": bench.now, "id": device})
    with bench.database.write_tx() as session:
        assert forget_devices(session, settlement) == 0
    assert [postponed for postponed, _ in settlement.postponed] == [push]
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


def in_thread(work: Callable[[], None]) -> threading.Thread:
    """Start work beside the test."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_registration_that_commits_first_wins(bench: Bench) -> None:
    """The deletion waits for the registration and then finds nothing to delete."""
    [device] = bench.add_devices(1)
    bench.queue([device])
    settlement = Settlement()
    settlement.forget(claimed(bench), bench.now, bench.now)
    gone: list[int] = []

    def forget() -> None:
        with bench.database.write_tx() as session:
            gone.append(forget_devices(session, settlement))

    with bench.database.write_tx() as session:
        later = bench.now + timedelta(seconds=1)
        session.execute(REGISTER, {"token": token_of(1), "now": later, "id": device})
        thread = in_thread(forget)
        waits_for_a_lock(bench)
    thread.join()
    assert gone == [0]
    assert len(bench.rows("SELECT id FROM devices")) == 1
    assert len(settlement.postponed) == 1


def test_a_registration_after_the_deletion_starts_anew(bench: Bench) -> None:
    """The registration waits for the deletion and then makes the device again."""
    [device] = bench.add_devices(1)
    bench.queue([device])
    settlement = Settlement()
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
        assert forget_devices(session, settlement) == 1
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
        sender.run_once()
    assert [entry["reason"] for entry in logs if entry["log_level"] == "error"] == [reason]
    assert len(bench.rows("SELECT id FROM devices")) == 3
    assert {(row.due_at, row.attempts) for row in bench.pushes()} <= {(bench.now, 0)}
    bench.queue(devices, pass_type=other)
    left = len(bench.pushes())
    assert sender.run_once() == 3
    assert len(bench.pushes()) == left - 3
    assert sender.run_once() == 0
    bench.now += timedelta(seconds=30)
    sender.run_once()
    assert bench.pushes() == []


def test_a_stopped_pass_type_is_tried_ever_more_rarely(bench: Bench) -> None:
    """The pause grows while the fault lasts, and starts small again afterwards."""
    bench.queue(bench.add_devices(1))
    bench.emulator.fail("Forbidden", 6)
    sender = bench.sender()
    pauses = []
    with capture_logs() as logs:
        for _ in range(6):
            sender.run_once()
            bench.now += timedelta(hours=1)
    pauses = [entry["next_try_seconds"] for entry in logs if "next_try_seconds" in entry]
    assert len(pauses) == 6
    assert pauses[0] <= 30
    assert pauses[5] >= 450
    sender.run_once()
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
        assert bench.sender(client_for=client_for).run_once() == 2
    assert [row.pass_type_id for row in bench.pushes()] == [other, other]
    [error] = [entry for entry in logs if entry["log_level"] == "error"]
    assert error["reason"] == "There is no certificate for pass.test.other."


def test_our_own_mistake_is_reported_once(bench: Bench) -> None:
    """A push that Apple finds malformed is not sent again, and the device stays."""
    bench.queue(bench.add_devices(1))
    bench.emulator.fail("PayloadTooLarge")
    with capture_logs() as logs:
        bench.sender().run_once()
    assert bench.pushes() == []
    assert len(bench.rows("SELECT id FROM devices")) == 1
    [error] = [entry for entry in logs if entry["log_level"] == "error"]
    assert error["reason"] == "PayloadTooLarge"


@pytest.mark.parametrize("fault", ["goaway", "reset", "refuse", "close", "hang", "Shutdown"])
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
    sender.run_once()
    assert Counter(row.attempts for row in bench.pushes()) == {0: 49, 1: 1}
    assert sender.run_once() == 0
    assert len(clients) == 1
    bench.until_empty(sender)
    assert len(set(bench.emulator.accepted())) == 50


def test_stopping_finishes_what_is_in_flight(bench: Bench) -> None:
    """On stop the answers under way are still settled, and the rest is due at once."""
    bench.queue(bench.add_devices(400))
    bench.emulator.fail("slow", 400, seconds=0.1)
    stop = threading.Event()
    sender = bench.sender()
    worker = in_thread(lambda: sender.run(stop, lambda seconds: stop.wait(seconds), 0.05))
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

    bench.sender().run(stop, wait, 1.5)
    assert waits == [1.5, 1.5]
    assert bench.emulator.accepted() == [token_of(1)]


def test_logs_name_pushes_but_neither_tokens_nor_devices(bench: Bench) -> None:
    """One line per batch with counts by answer, one debug line per push with its apns-id."""
    bench.queue(bench.add_devices(3))
    bench.emulator.fail("InternalServerError")
    with capture_logs() as logs:
        bench.sender().run_once()
    [line] = [entry for entry in logs if entry["log_level"] == "info"]
    assert (line["done"], line["retry"], line["lane"]) == (2, 1, "bulk")
    ids = {entry["apns_id"] for entry in logs if entry["log_level"] == "debug"}
    assert ids == {entry["apns_id"] for entry in bench.emulator.received()}
    said = repr(logs)
    assert not [n for n in (1, 2, 3) if token_of(n) in said or f"library-{n}" in said]
