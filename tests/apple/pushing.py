"""A queue of pushes to send, and hands to look at it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Row

from tests.apple.apns import (
    Emulator,
)
from walletsvc.apple.apns import ApnsClient
from walletsvc.apple.sending.sender import Sender
from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import Database

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
        self.connect_seconds = 10.0
        self._senders: list[Sender] = []
        self.pass_type = self.add_pass_type(TOPIC)

    def add_pass_type(self, topic: str) -> int:
        """Make a pass type; returns its id."""
        return self._insert(
            "INSERT INTO pass_types"
            " (wallet, identifier, team_identifier, epoch, counter, generation, created_at)"
            " VALUES ('apple', :topic, 'TEST000001', 1, 0, 0, :now) RETURNING id",
            topic=topic,
        )

    def add_devices(self, count: int) -> list[int]:
        """Make devices numbered from 1; returns their ids, in that order."""
        with self.database.write_tx() as session:
            made = session.execute(
                text(
                    "INSERT INTO devices (library_identifier, push_token, registered_at,"
                    " created_at) SELECT 'library-' || n, lpad(to_hex(n), 64, '0'), :now, :now"
                    " FROM generate_series(1, :count) n RETURNING id"
                ),
                {"now": self.now, "count": count},
            )
            return sorted(made.scalars())

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

    def run(self, sender: Sender) -> int:
        """Have the sender look once and send what is due; how many pushes left."""
        return sum(channel.drain() for channel in sender.look())

    def client(self, pass_type_id: int) -> ApnsClient:
        """A client for the topic of a pass type."""
        [(topic,)] = self.rows("SELECT identifier FROM pass_types WHERE id = :id", id=pass_type_id)
        return self.emulator.client(
            topic, request_seconds=self.request_seconds, connect_seconds=self.connect_seconds
        )

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
            while self.run(sender):
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


@pytest.fixture(name="bench")
def bench_fixture(database: Database, emulator: Emulator, now: datetime) -> Iterator[Bench]:
    """An empty queue and a push service that accepts everything."""
    bench = Bench(database, emulator, now)
    yield bench
    bench.close()


def milliseconds(moment: datetime) -> int:
    """A moment as Apple writes it."""
    return int(moment.timestamp() * 1000)


def in_thread(work: Callable[[], object]) -> threading.Thread:
    """Start work beside the test."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread
