"""Short calls take turns, and none waits long for one that is not short."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

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
    """By all who wait at the same moment, by others at once; they are in order again after it."""
    turns = Turns(1, patience=1.0)
    with taken(turns, pool):
        both = [pool.submit(waited, turns) for _ in range(2)]
        assert all(0.8 < each.result(LONG) < 1.8 for each in both)
        assert waited(turns) < 0.6
    assert waited(turns) < 0.6
    with taken(turns, pool):
        assert waited(turns) > 0.8


def test_a_queue_that_moves_is_waited_for(pool: ThreadPoolExecutor) -> None:
    """Longer than for one call, and in its order."""
    turns = Turns(1, patience=1.0)
    order: list[str] = []
    with ExitStack() as held:
        held.enter_context(taken(turns, pool))
        second = pool.submit(passing, turns, order, "second", 0.7)
        time.sleep(0.3)
        third = pool.submit(passing, turns, order, "third", 0)
        time.sleep(0.4)
    second.result(LONG)
    third.result(LONG)  # it waited 1.1 s, for one call 0.4 and for the other 0.7
    assert order == ["second begins", "second ends", "third begins", "third ends"]


def passing(turns: Turns, order: list[str], name: str, seconds: float) -> None:
    """A call that takes so long."""
    with turns.next():
        order.append(f"{name} begins")
        time.sleep(seconds)
        order.append(f"{name} ends")


def test_who_passed_does_not_free_the_turn(pool: ThreadPoolExecutor) -> None:
    """And a call that fails does."""
    turns = Turns(1, patience=1.0)
    with taken(turns, pool):
        with pytest.raises(KeyError), turns.next():
            raise KeyError
        assert waited(turns) < 0.6
    with pytest.raises(KeyError), turns.next():
        raise KeyError
    assert waited(turns) < 0.6
    with taken(turns, pool):
        assert waited(turns) > 0.8


def test_one_of_two_that_stands_still(pool: ThreadPoolExecutor) -> None:
    """The other turn goes round meanwhile."""
    turns = Turns(2, patience=1.0)
    with taken(turns, pool):
        assert waited(turns) < 0.6
        with taken(turns, pool):
            assert waited(turns) > 0.8
        assert waited(turns) < 0.6


def test_as_many_at_once_as_are_worth_it(pool: ThreadPoolExecutor) -> None:
    """The third of two waits."""
    turns = Turns(2, patience=LONG)
    with taken(turns, pool), taken(turns, pool):
        third = pool.submit(waited, turns)
        time.sleep(0.2)
        assert not third.done()
    assert third.result(LONG) < LONG / 2


@pytest.mark.parametrize(
    ("beside", "processes", "cores", "at_once"),
    [
        (True, 2, 2, 1),
        (True, 4, 2, 1),
        (True, 1, 2, 3),
        (True, 2, 8, 5),
        (True, 1, 64, 8),
        (False, 2, 2, 8),
        (False, 1, 2, 8),
    ],
)
def test_how_many_are_worth_it(beside: bool, processes: int, cores: int, at_once: int) -> None:
    """One beside a database on the same cores, all beside one that computes elsewhere."""
    assert worth(beside=beside, processes=processes, threads=8, cores=cores) == at_once
