"""The SQL that this thread has sent meanwhile: others may use the same engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from walletsvc.storage.engine import Database


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Statements, without BEGIN and COMMIT."""
    seen: list[str] = []
    own = threading.get_ident()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if threading.get_ident() == own:
            seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
