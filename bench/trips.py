"""Counting round trips: how often the driver waits for the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg


@contextmanager
def round_trips() -> Iterator[list[None]]:
    """The round trips to the database meanwhile, one item each."""
    waits: list[None] = []
    original = psycopg.Connection.wait

    def noted(steps: Any) -> Any:
        """The steps of an exchange with the server, of which it waits between two."""
        try:
            wanted = next(steps)
            waits.append(None)
            while True:
                wanted = steps.send((yield wanted))
        except StopIteration as done:
            return done.value

    def wait(self: Any, steps: Any, *more: Any, **options: Any) -> Any:
        return original(self, noted(steps), *more, **options)

    with patch.object(psycopg.Connection, "wait", wait):
        yield waits
