"""One rate for all workers, by the database's clock; whoever waits at the till comes first."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from itertools import accumulate

import pytest
from sqlalchemy import text

from tests.google.shop import HOUSE
from walletsvc.core.clock import utcnow
from walletsvc.google import limiter as limiters
from walletsvc.google.issuer import ensure_issuer
from walletsvc.google.limiter import Limiter
from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import Database

RATE = 400.0
BATCH = 100  # a quarter of a second's


@pytest.fixture(name="issuer")
def issuer_fixture(database: Database, now: datetime) -> int:
    """An issuer that is free; `now` is long ago by the database's clock."""
    with database.write_tx() as session:
        return ensure_issuer(session, HOUSE.issuer_id, now).id


class Sending(threading.Thread):
    """A worker that takes turns as fast as it may, and notes when it sent how much."""

    def __init__(self, database: Database, issuer: int, lane: Lane, count: int, pause: float = 0):
        super().__init__()
        self._limiter = Limiter(database, RATE)
        self._turn = issuer, count, lane
        self._pause = pause
        self.stop = threading.Event()
        self.sent: list[tuple[float, int]] = []
        self.waits: list[float] = []

    def run(self) -> None:
        """Send until stopped."""
        while not self.stop.is_set():
            asked = time.monotonic()
            granted = self._limiter.wait(*self._turn, clock=utcnow, stop=self.stop, patience=10)
            if granted:
                sent = time.monotonic()
                self.sent.append((sent, self._turn[1]))
                self.waits.append(sent - asked)
            self.stop.wait(self._pause)


def test_workers_together_keep_the_rate(database: Database, issuer: int) -> None:
    """Over any stretch no more leave than the rate allows and one batch; the urgent ones wait
    less than a second; and no more than a tenth of the rate is lost."""
    bulk = [Sending(database, issuer, Lane.BULK, BATCH) for _ in range(2)]
    urgent = Sending(database, issuer, Lane.INTERACTIVE, 1, pause=0.05)
    workers = [*bulk, urgent]
    started = time.monotonic()
    for worker in workers:
        worker.start()
    time.sleep(2.5)
    for worker in workers:
        worker.stop.set()
    for worker in workers:
        worker.join()
    took = time.monotonic() - started
    sent = sorted(item for worker in workers for item in worker.sent)
    sums = [0, *accumulate(count for _, count in sent)]
    slack = 0.15 * RATE  # threads wake a little late
    for i, (since, _) in enumerate(sent):
        for j in range(i, len(sent)):
            leaves = sums[j + 1] - sums[i]
            assert leaves <= RATE * (sent[j][0] - since) + BATCH + slack
    assert sums[-1] > 0.5 * RATE * took  # a busy machine wakes threads late
    assert len(urgent.waits) > 5
    assert max(urgent.waits) < 1


def test_bulk_does_not_wait_in_line(database: Database, issuer: int, now: datetime) -> None:
    """It gets no turn at all before its time, and takes nothing from the rate."""
    limiter = Limiter(database, RATE)
    assert limiter.take(issuer, BATCH, Lane.BULK, now=now).granted
    refused = limiter.take(issuer, BATCH, Lane.BULK, now=now)
    assert not refused.granted
    assert 0 < refused.seconds < 0.5
    # The urgent one comes behind the one batch that left.
    turn = limiter.take(issuer, 1, Lane.INTERACTIVE, now=now)
    assert turn.granted
    assert 0 < turn.seconds <= BATCH / RATE


MESSAGE = (
    "INSERT INTO google_messages (pass_id, message_id, body, wants_buzz, state, lane, due_at,"
    " attempts, error, created_at) VALUES (1, 'm', '{}', true, 'due', 0, :at, 0, '', :at)"
)
CARD = (
    "INSERT INTO google_objects (pass_id, google_class_id, object_id, has_users, sent_revision,"
    " sent_values, messages, lane, due_at, attempts, error, created_at)"
    " VALUES (1, 1, 'o', true, 1, '{}', 0, 0, :at, 0, '', :at)"
)


CLASS = (
    "INSERT INTO google_classes (id, template_id, pass_type_id, kind, class_id, review_status,"
    " attempts, error, created_at) VALUES (1, 1, :issuer, 'loyalty', 'c', '', 0, '', :at)"
)
WAITING_FOR_ITS_CARD = f"{CARD}; {MESSAGE}".replace(":at, 0, '', :at); ", ":later, 0, '', :at); ")


@pytest.mark.parametrize("urgent", [f"{CARD.replace(':at, 0', 'NULL, 0')}; {MESSAGE}", CARD])
def test_what_is_urgent_holds_bulk_back(
    database: Database, issuer: int, now: datetime, urgent: str
) -> None:
    """A card or a message, while it is due."""
    limiter = Limiter(database, RATE)
    put(database, urgent, issuer, now)
    assert not limiter.take(issuer, 1, Lane.BULK, now=now).granted
    before = now - timedelta(seconds=1)
    assert limiter.take(issuer, 1, Lane.BULK, now=before).granted


def test_what_cannot_be_claimed_holds_nobody_back(
    database: Database, issuer: int, now: datetime
) -> None:
    """A message that waits for its card's next try is not sent before ten seconds are over."""
    limiter = Limiter(database, RATE)
    put(database, WAITING_FOR_ITS_CARD, issuer, now)
    assert limiter.take(issuer, 1, Lane.BULK, now=now).granted
    assert not limiter.take(issuer, 1, Lane.BULK, now=now + timedelta(seconds=10)).granted


def test_another_issuers_cards_hold_nobody_back(
    database: Database, issuer: int, now: datetime
) -> None:
    """They are left from before the setting was changed; nobody sends them."""
    with database.write_tx() as session:
        new = ensure_issuer(session, "3388000000099999999", now).id
    put(database, CARD, issuer, now)
    assert Limiter(database, RATE).take(new, 1, Lane.BULK, now=now).granted


def put(database: Database, rows: str, issuer: int, now: datetime) -> None:
    """Into the database, whatever else should be there."""
    values = {"at": now, "later": now + timedelta(hours=1), "issuer": issuer}
    with database.write_tx() as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for row in (CLASS, *rows.split("; ")):
            session.execute(text(row), values)


def test_nothing_is_sent_after_the_end_or_past_patience(
    database: Database, issuer: int, now: datetime
) -> None:
    """A turn that begins too late is not waited for, nor is any once it is time to stop."""
    stop = threading.Event()
    limiter = Limiter(database, 1.0)
    assert limiter.take(issuer, 5, Lane.INTERACTIVE, now=now).granted
    asked = issuer, 1, Lane.INTERACTIVE
    for _ in range(10):
        assert not limiter.wait(*asked, clock=lambda: now, stop=stop, patience=1.0)
    # None of them has taken anything.
    assert limiter.take(*asked, now=now).seconds < 5
    stop.set()
    assert not limiter.wait(*asked, clock=lambda: now, stop=stop, patience=100.0)


@pytest.mark.parametrize(("rate", "most"), [(0.1, 1), (1, 1), (20, 10), (2000, 1000), (9000, 1000)])
def test_a_batch_is_half_a_second_of_the_rate(database: Database, rate: float, most: int) -> None:
    """At least one request, and never more than Google takes."""
    assert Limiter(database, rate).most == most


def test_seconds_to_wait(database: Database, issuer: int, now: datetime) -> None:
    """What somebody waits who inserts a card on the click."""
    asked = {"requests_per_second": 10.0, "now": now}
    waits = [limiters.take(database, issuer, 1, Lane.INTERACTIVE, **asked) for _ in range(3)]  # type: ignore[arg-type]
    assert waits[0] == 0
    assert 0.1 < waits[2] <= 0.2
