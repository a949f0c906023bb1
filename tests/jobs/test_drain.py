"""The drain: nothing lost, nothing done twice, nothing stuck behind a bad row."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.clock import utcnow
from walletsvc.jobs import counters
from walletsvc.jobs.changes import Lane, touch
from walletsvc.jobs.drain import Batch, Drain
from walletsvc.storage.engine import Database
from walletsvc.storage.statement import Statement


def note(database: Database, now: datetime, *keys: int, lane: Lane = Lane.INTERACTIVE) -> None:
    with database.write_tx() as session:
        touch(session, "card", keys, at=now, lane=lane)


def left(database: Database) -> list[int]:
    with database.read_tx() as session:
        return list(session.execute(text("SELECT key FROM changes ORDER BY id")).scalars())


def test_a_batch_names_each_key_once_and_empties_the_log(database: Database, now: datetime) -> None:
    """Two changes of one card are one thing to do."""
    batches: list[Batch] = []
    note(database, now, 3, 1)
    note(database, now, 3)
    drain = Drain(database, lambda _, batch: batches.append(batch))
    assert drain.run_once() == 3
    assert batches == [Batch(Lane.INTERACTIVE, {"card": [1, 3]})]
    assert left(database) == []
    assert drain.run_once() == 0


def test_purchases_go_before_broadcasts(database: Database, now: datetime) -> None:
    """However many bulk changes were written first."""
    order: list[Lane] = []
    note(database, now, *range(50), lane=Lane.BULK)
    note(database, now, 99)
    drain = Drain(database, lambda _, batch: order.append(batch.lane), limit=10)
    while drain.run_once():
        pass
    assert order == [Lane.INTERACTIVE] + [Lane.BULK] * 5


def test_a_crash_leaves_the_changes_for_the_next(database: Database, now: datetime) -> None:
    """Deleting and acting commit together, so dying in between does neither."""

    class Killed(BaseException):
        pass

    def die(_session: Session, _batch: Batch) -> None:
        raise Killed

    note(database, now, 1, 2)
    with pytest.raises(Killed):
        Drain(database, die).run_once()
    assert left(database) == [1, 2]


def test_how_long_changes_waited_is_counted(database: Database) -> None:
    """By lane, in the transaction that acts on them: what failed was not published."""

    def refuse(_session: Session, _batch: Batch) -> None:
        raise ValueError

    past = utcnow() - timedelta(seconds=20)
    note(database, past, 1, 2, lane=Lane.BULK)
    Drain(database, refuse).run_once()
    with database.read_tx() as session:
        assert counters.read(session) == {}
    note(database, past, 3, 4, lane=Lane.BULK)
    Drain(database, lambda _, batch: None).run_once()
    with database.read_tx() as session:
        counted = counters.read(session)
    name = "publish_delay_seconds"
    assert counted[counters.series(name, lane="bulk", le="30")] == 2
    microseconds = counted[counters.series(f"{name}_microseconds", lane="bulk")]
    assert 40e6 <= microseconds < 60e6


def test_a_bad_row_is_set_aside_and_the_others_go_on(
    database: Database, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """One card that cannot be published must not stop all cards."""
    done: list[int] = []

    def handle(_session: Session, batch: Batch) -> None:
        if 2 in batch.keys["card"]:
            raise ValueError("this one fails")
        done.extend(batch.keys["card"])

    note(database, now, 1, 2, 3)
    drain = Drain(database, handle)
    while drain.run_once():
        pass
    assert done == [1, 3]
    assert left(database) == [2]
    with database.read_tx() as session:
        waits = session.execute(text("SELECT postponed_until > now() FROM changes")).scalar_one()
    assert waits is True
    assert drain.run_once() == 0


def test_what_fails_when_it_is_sent_is_set_aside_as_well(database: Database, now: datetime) -> None:
    """A handler's last statements wait, in a worker's threads, until its savepoint ends."""
    wrong = Statement("INSERT INTO changes (topic, key, lane, at) VALUES ('card', NULL, 0, :at)")

    def handle(session: Session, batch: Batch) -> None:
        if 2 in batch.keys["card"]:
            wrong.ask(session, {"at": now})

    def work() -> None:
        note(database, now, 1, 2, 3)
        drain = Drain(database, handle)
        while drain.run_once():
            pass
        assert left(database) == [2]

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def test_two_drains_never_take_the_same_change(database: Database, now: datetime) -> None:
    """Workers on several machines share the log."""
    taken: list[int] = []
    guard = threading.Lock()

    def handle(_session: Session, batch: Batch) -> None:
        with guard:
            taken.extend(batch.keys["card"])

    note(database, now, *range(400))

    def work() -> None:
        drain = Drain(database, handle, limit=7)
        while drain.run_once():
            pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(400))


def test_it_stops_when_told(database: Database) -> None:
    """SIGTERM sets the event; the loop ends after the batch in hand."""
    stop = threading.Event()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        stop.set()

    Drain(database, lambda _s, _b: None).run(stop, wait, sweep=1.5)
    assert waits == [1.5]
