"""The timeline's events: what happened to a pass between a change and the phone.

They explain, they decide nothing: publishing and sending write theirs in their own
transactions; the web service, which must not wait for a commit per request, hands them to an
`EventBuffer`, and a crash may lose its last second.

What `detail` holds, by kind:
    published     tag, revision, version, lane, causes (topics), changed_at, differs (field keys)
    pushed        apns_id, status, reason, attempts, action
    asked         since (the device's tag), answered (the new tag or null), serials (how many)
    fetched       revision, agent, page (downloaded from the card's page); of a click that leads to
                  the wallet's own page: link (true), revision
    unchanged     revision, agent
    registered    stale (it holds an older copy and is told at once), fresh (new registration)
    unregistered  —
    device-lost   reason
    sent          what (insert, patch, look, message), revision, status, reason, attempts, buzz
                  (asked: the phone was to announce it; why not: budget, refused), action; of a look
                  applied (what was asked before); of a message its id (message) and state
    saved         count (how often it was saved, when the wallet says); found (`reconcile`: nobody
                  told us, it was found out)
    removed       the same
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from walletsvc.passes.models import EventKind
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

_FLUSH_SECONDS: Final = 0.5
_MOST_WAITING: Final = 20_000

# One JSON value instead of an array per column: quoting the texts of an array costs more than all
# the rest, and a thousand events are written with each batch of a broadcast.
_INSERT: Final = text(
    "INSERT INTO pass_events (at, kind, pass_type_id, pass_id, device_id, detail)"
    " SELECT * FROM jsonb_to_recordset(CAST(:events AS jsonb)) AS n(at timestamptz, kind text,"
    "   pass_type_id bigint, pass_id bigint, device_id bigint, detail jsonb)"
)
_FORGET: Final = text(
    "DELETE FROM pass_events WHERE id = ANY(ARRAY("
    "  SELECT id FROM pass_events WHERE at < :limit LIMIT :count))"
)


class Event(NamedTuple):
    """Something that happened; `pass_id` or `device_id` says to whom."""

    at: datetime
    kind: EventKind
    pass_type_id: int
    pass_id: int | None = None
    device_id: int | None = None
    detail: dict[str, Any] = {}  # noqa: RUF012 - never changed


def record(session: Session, events: Sequence[Event]) -> None:
    """Write events in the caller's transaction, with one statement."""
    if not events:
        return
    rows = [event._asdict() for event in events]
    session.execute(_INSERT, {"events": orjson.dumps(rows).decode()})


def forget_before(session: Session, limit: datetime, *, count: int = 10_000) -> int:
    """Delete up to `count` events older than `limit`; returns how many went."""
    result = session.execute(_FORGET, {"limit": limit, "count": count})
    return int(getattr(result, "rowcount", 0))


class EventBuffer:
    """Takes events without waiting and writes them from a thread twice a second."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[Event] = deque(maxlen=_MOST_WAITING)
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, event: Event) -> None:
        """Keep an event; of more than can be kept the oldest are dropped."""
        self._waiting.append(event)
        if not self._wake.is_set():
            self._start()
            self._wake.set()

    def flush(self) -> None:
        """Write what is waiting; what cannot be written is dropped and said."""
        events = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not events:
            return
        try:
            with self._database.write_tx() as session:
                record(session, events)
        except SQLAlchemyError as error:
            log.warning("timeline events were lost", count=len(events), error=str(error)[:200])

    def close(self) -> None:
        """Write what is waiting and stop the thread."""
        self._stopping.set()
        self._wake.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(timeout=5)
        self.flush()

    def _start(self) -> None:
        # On first use: a server that forks after start-up keeps a working thread.
        with self._lock:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait()
            self._stopping.wait(_FLUSH_SECONDS)
            self._wake.clear()
            self.flush()
