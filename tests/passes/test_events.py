"""Events on their way into the database."""

from __future__ import annotations

import time
from datetime import datetime

from sqlalchemy import text
from structlog.testing import capture_logs

from walletsvc.passes.events import Event, EventBuffer, record
from walletsvc.passes.models import EventKind
from walletsvc.storage.engine import Database


def stored(database: Database) -> list[tuple[object, ...]]:
    with database.read_tx() as session:
        rows = session.execute(
            text("SELECT at, kind, pass_type_id, pass_id, device_id, detail FROM pass_events"
                 " ORDER BY id")
        )  # fmt: skip
        return [tuple(row) for row in rows]


def test_events_are_stored_as_they_are(database: Database, now: datetime) -> None:
    """Times to the microsecond, large ids, quotes, Cyrillic, nothing where there is nothing."""
    at = now.replace(microsecond=123_456)
    events = [
        Event(at, EventKind.PUBLISHED, 1, 2**62, None, {"differs": {"имя": ['"', "\\ {},'"]}}),
        Event(at, EventKind.ASKED, 1, None, 3),
    ]
    with database.write_tx() as session:
        record(session, events)
        record(session, [])
    assert stored(database) == [
        (at, "published", 1, 2**62, None, {"differs": {"имя": ['"', "\\ {},'"]}}),
        (at, "asked", 1, None, 3, {}),
    ]


def test_a_buffer_writes_by_itself_and_what_is_left_when_it_closes(
    database: Database, now: datetime
) -> None:
    """The first after half a second, the last at the end; then nothing more is lost."""
    buffer = EventBuffer(database)
    buffer.add(Event(now, EventKind.ASKED, 1, None, 1))
    deadline = time.monotonic() + 20
    while not stored(database) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(stored(database)) == 1
    buffer.add(Event(now, EventKind.ASKED, 1, None, 2))
    buffer.close()
    assert [row[4] for row in stored(database)] == [1, 2]


def test_events_that_cannot_be_written_are_said_and_do_not_stop_the_others(
    database: Database, now: datetime
) -> None:
    """PostgreSQL refuses a NUL; a request must not fail for that, nor the next event."""
    buffer = EventBuffer(database)
    with capture_logs() as logs:
        buffer.add(Event(now, EventKind.FETCHED, 1, 1, None, {"agent": "\0"}))
        buffer.flush()
        buffer.add(Event(now, EventKind.FETCHED, 1, 2))
        buffer.close()
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert [row[3] for row in stored(database)] == [2]
