"""Runs several actors against one database in an order drawn at random, statement by statement.

Every actor is a thread. Before each SQL statement, and before each commit, it stops and
waits for its turn; the scheduler draws whose turn it is. An actor that does not come back
from its turn waits for a lock of another one: the scheduler goes on with the rest, exactly
as the database would.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlmodel import Session

_BLOCKED_AFTER_SECONDS = 0.003
_GIVE_UP_AFTER_SECONDS = 20.0
_USUAL_TURNS = 70

_current = threading.local()


class _Actor:
    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._go = threading.Semaphore(0)
        self.waiting = threading.Event()
        self.finished = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        _current.actor = self
        try:
            self.checkpoint()
            self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self.error = error
        self.finished = True
        self.waiting.set()

    def checkpoint(self) -> None:
        """Stop until it is this actor's turn."""
        self.waiting.set()
        self._go.acquire()

    def step(self, timeout: float) -> None:
        """Give the actor one turn and wait until it stops again, or so long."""
        self.waiting.clear()
        self._go.release()
        self.waiting.wait(timeout)

    def join(self) -> None:
        self._thread.join(_GIVE_UP_AFTER_SECONDS)
        if self._thread.is_alive():
            raise AssertionError("an actor never finished: a deadlock the database did not see")
        if self.error is not None:
            raise self.error


@contextmanager
def checkpoints(engine: Engine) -> Iterator[None]:
    """Make every statement and every commit on this engine a place where actors take turns."""

    def pause(*_: object) -> None:
        actor: _Actor | None = getattr(_current, "actor", None)
        if actor is not None:
            actor.checkpoint()

    event.listen(engine, "before_cursor_execute", pause)
    event.listen(engine, "checkout", pause)  # for statements that go around SQLAlchemy
    # The engine's own listener to a commit may send it: it would be too late to stop there.
    event.listen(Session, "before_commit", pause)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", pause)
        event.remove(engine, "checkout", pause)
        event.remove(Session, "before_commit", pause)


def interleave(dice: random.Random, work: Sequence[Callable[[], object]]) -> None:
    """Run the actors to their ends, one turn at a time.

    Mostly by random priorities with a few random demotions, which finds orders that take
    several things to happen just so (Burckhardt and others, "A Randomized Scheduler with
    Probabilistic Guarantees of Finding Bugs", 2010); sometimes by lot, turn for turn.
    """
    actors = [_Actor(one) for one in work]
    for actor in actors:
        actor.waiting.wait(_GIVE_UP_AFTER_SECONDS)
    dice.shuffle(actors)
    by_lot = dice.random() < 0.25
    demotions = set() if by_lot else {dice.randrange(_USUAL_TURNS) for _ in range(3)}
    deadline = time.monotonic() + _GIVE_UP_AFTER_SECONDS
    turn = 0
    while left := [actor for actor in actors if not actor.finished]:
        ready = [actor for actor in left if actor.waiting.is_set()]
        if not ready:  # all of them wait for each other's last statement to come back
            assert time.monotonic() < deadline, "a deadlock that the database did not see"
            left[0].waiting.wait(_BLOCKED_AFTER_SECONDS)
            continue
        chosen = dice.choice(ready) if by_lot else ready[0]
        if turn in demotions:
            actors.remove(chosen)
            actors.append(chosen)
            demotions.discard(turn)
            continue
        chosen.step(_BLOCKED_AFTER_SECONDS)
        turn += 1
    for actor in actors:
        actor.join()
