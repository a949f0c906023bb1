"""Many callers at the same moment, and one that dies on the way."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from sqlalchemy import event
from sqlmodel import Session

from walletsvc.core.errors import WalletsvcError
from walletsvc.storage.engine import Database

THREADS = 64


T = TypeVar("T")


def together(threads: int, work: Callable[[int], T]) -> list[T]:
    """Run `work(0)` to `work(threads - 1)` at the same moment; their results in order."""
    barrier = Barrier(threads)

    def start(number: int) -> T:
        barrier.wait(timeout=60)
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(start, range(threads)))


def outcome(call: Callable[[], object]) -> str:
    """`done`, or the code of the deliberate error; anything else is raised."""
    try:
        call()
    except WalletsvcError as error:
        return error.code
    return "done"


class Crash(Exception):
    """The process died here."""


def crashing(database: Database, survive: int, work: Callable[[Session], object]) -> bool:
    """Run work that dies after `survive` statements; False when it came through alive."""
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen > survive:
            raise Crash

    try:
        with database.write_tx() as session:
            event.listen(session.connection(), "after_cursor_execute", count)
            work(session)
            count()  # after the last statement, before the commit
    except Crash:
        return True
    return False
