"""Short calls take turns, and none waits long for one that is not short."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from walletsvc.web.turns import Turns, worth

LONG = 30.0  # no test waits for it


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


@contextmanager
def taken(turns: Turns, pool: ThreadPoolExecutor) -> Iterator[None]:
    """Somebody has the turn for the time of the block."""
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with turns.next():
            inside.set()
            assert leave.wait(LONG)

    held = pool.submit(hold)
    assert inside.wait(LONG)
    try:
        yield
    finally:
        leave.set()
        held.result(LONG)


def waited(turns: Turns) -> float:
    """The seconds until it was our turn."""
    started = time.monotonic()
    with turns.next():
        return time.monotonic() - started


def test_one_after_another(pool: ThreadPoolExecutor) -> None:
    """Who comes second waits for the first to leave."""
    turns = Turns(1, patience=LONG)
    with taken(turns, pool):
        second: Future[float] = pool.submit(waited, turns)
        time.sleep(0.2)
        assert not second.done()
    assert 0.1 < second.result(LONG) < LONG / 2


def test_what_is_not_short_is_passed(pool: ThreadPoolExecutor) -> None:
    """It holds the others up once; they are in order again when it has left."""
    turns = Turns(1, patience=0.3)
    with taken(turns, pool):
        assert waited(turns) >= 0.3
        assert waited(turns) < 0.2
        assert waited(turns) < 0.2
    assert waited(turns) < 0.2
    with taken(turns, pool):
        assert waited(turns) >= 0.3


def test_who_passed_does_not_free_the_turn(pool: ThreadPoolExecutor) -> None:
    """And a call that fails does."""
    turns = Turns(1, patience=0.1)
    with taken(turns, pool):
        with pytest.raises(KeyError), turns.next():
            raise KeyError
        assert waited(turns) < 0.05
    with pytest.raises(KeyError), turns.next():
        raise KeyError
    assert waited(turns) < 0.05


def test_as_many_at_once_as_are_worth_it(pool: ThreadPoolExecutor) -> None:
    """The third of two waits."""
    turns = Turns(2, patience=LONG)
    with taken(turns, pool), taken(turns, pool):
        third = pool.submit(waited, turns)
        time.sleep(0.2)
        assert not third.done()
    assert third.result(LONG) < LONG / 2


@pytest.mark.parametrize(
    ("conninfo", "processes", "cores", "at_once"),
    [
        ("postgresql://postgres:@/walletsvc?host=/data/postgres", 2, 2, 1),
        ("postgresql://postgres:@/walletsvc?host=/data/postgres", 4, 2, 1),
        ("postgresql://postgres:@/walletsvc?host=/data/postgres", 1, 2, 3),
        ("postgresql://postgres:@/walletsvc?host=/data/postgres", 2, 8, 5),
        ("postgresql://postgres:@/walletsvc?host=/data/postgres", 1, 64, 8),
        ("postgresql://walletsvc@127.0.0.1:5432/walletsvc", 2, 2, 1),
        ("postgresql://walletsvc@localhost/walletsvc", 2, 2, 1),
        ("postgresql:///walletsvc", 2, 2, 1),
        ("postgresql://walletsvc@db/walletsvc", 2, 2, 8),
        ("postgresql://walletsvc@192.0.2.7/walletsvc", 1, 2, 8),
    ],
)
def test_how_many_are_worth_it(conninfo: str, processes: int, cores: int, at_once: int) -> None:
    """One beside a database on the same cores, all beside one that computes elsewhere."""
    assert worth(conninfo, processes=processes, threads=8, cores=cores) == at_once
