"""A process that dies at a statement, or at its commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from sqlalchemy import event
from sqlalchemy.engine import Engine

How = int | Literal["twice", "commit"] | None


class Crash(Exception):
    """The process died here."""


@contextmanager
def crashing(engine: Engine, at: How) -> Iterator[None]:
    """Whoever uses this engine dies at its n-th statement, or when it commits."""
    left = [at if isinstance(at, int) else 10**6]

    def statement(*_: object) -> None:
        left[0] -= 1
        if not left[0]:
            raise Crash

    def commit(*_: object) -> None:
        raise Crash

    what = ("commit", commit) if at == "commit" else ("before_cursor_execute", statement)
    event.listen(engine, *what)
    try:
        yield
    finally:
        event.remove(engine, *what)
