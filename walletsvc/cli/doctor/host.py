"""What any wallet needs: disk, clock, database, queues, workers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc import app
from walletsvc.apple import inventory
from walletsvc.cli.doctor.findings import Finding
from walletsvc.core.clock import Clock
from walletsvc.jobs.presence import present
from walletsvc.settings import Settings
from walletsvc.storage.engine import POOL_OVERFLOW, Database

# Tags, Last-Modified and due times come from the hosts' clocks.
CLOCK_SECONDS: Final = 2.0
FREE_BYTES: Final = 1024**3
# Purchases are published in a second; a push may have to wait for Apple.
LATE_CHANGE_SECONDS: Final = 120.0
LATE_PUSH_SECONDS: Final = 3600.0

NONE_WAITING: Final = "none waiting"

# Publisher, sender and job worker together: pools, listeners, signals.
WORKER_CONNECTIONS: Final = 25

_WAITING: Final = """
SELECT 'changes' AS what, count(*) AS waiting, min(at) FILTER (WHERE lane = 0) AS oldest
FROM changes
UNION ALL SELECT 'pushes', count(*), min(created_at) FROM pushes
UNION ALL SELECT 'google', count(*), min(due_at) FROM google_objects WHERE due_at IS NOT NULL
"""


def examine(installation: app.Installation) -> Iterator[Finding]:
    """The host, its database, and who is at work."""
    settings, now = installation.settings, installation.clock()
    yield Finding("data directory", str(settings.data_dir.absolute()))
    for remark in inventory.open_folder("data directory", settings.data_dir):
        yield Finding("data directory", f"warning: {remark}")
    yield disk(settings.data_dir)
    yield Finding("database", "answers, schema up to date")
    yield clock(installation.database, installation.clock)
    with installation.database.read_tx() as session:
        yield connections(session, settings)
        queues = list(waiting(session, now))
        yield from queues
        idle = all(finding.text == NONE_WAITING for finding in queues)
        yield workers(session, app.channels(settings), idle=idle)


def disk(folder: Path) -> Finding:
    """The room that is left where the data lives."""
    free = shutil.disk_usage(folder).free
    return Finding("disk", f"{free / 1024**3:.1f} GiB free", problem=free < FREE_BYTES)


def clock(database: Database, now: Clock) -> Finding:
    """How far this host's clock is from the database's, which all hosts share."""
    with database.read_tx() as session:
        session.execute(text("SELECT 1"))  # so that no connection is made meanwhile
        before = now()
        there: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
        here = before + (now() - before) / 2
    apart = (here - there).total_seconds()
    if abs(apart) <= CLOCK_SECONDS:
        return Finding("clock", "agrees with the database's")
    fast = "ahead of" if apart > 0 else "behind"
    return Finding(
        "clock",
        f"{abs(apart):.1f} s {fast} the database's: let both hosts keep time by NTP.",
        problem=True,
    )


def connections(session: Session, settings: Settings) -> Finding:
    """Whether the database takes as many connections as this host may open at its busiest."""
    allowed = int(session.execute(text("SHOW max_connections")).scalar_one())
    # Of each web process a pool with what may come on top, and its signals.
    needed = (
        settings.web_processes * (settings.web_threads + POOL_OVERFLOW + 1) + WORKER_CONNECTIONS
    )
    said = f"up to {needed} of this host, {allowed} of the database"
    if needed <= allowed:
        return Finding("connections", said)
    advice = "raise its max_connections, or lower WALLETSVC_WEB_PROCESSES or _WEB_THREADS."
    return Finding("connections", f"{said}: {advice}", problem=True)


def waiting(session: Session, now: datetime) -> Iterator[Finding]:
    """What is not published or not sent yet, and since when."""
    late = {
        "changes": LATE_CHANGE_SECONDS,
        "pushes": LATE_PUSH_SECONDS,
        "google": LATE_PUSH_SECONDS,
    }
    for row in session.execute(text(_WAITING)):
        if not row.waiting:
            yield Finding(row.what, NONE_WAITING)
            continue
        age = max((now - row.oldest).total_seconds(), 0.0) if row.oldest else 0.0
        since = f", the oldest for {age:.0f} s" if row.oldest else " in bulk"
        yield Finding(
            row.what,
            f"{row.waiting} waiting{since}",
            problem=age > late.get(row.what, LATE_PUSH_SECONDS),
        )


def workers(session: Session, listened: Mapping[str, str], *, idle: bool) -> Finding:
    """Who is at work on whatever host. Nobody at all is fine as long as nothing waits."""
    found = present(session, listened)
    absent = [part for part, count in found.items() if not count]
    if not absent:
        counts = ", ".join(f"{count} {part}" for part, count in found.items())
        return Finding("workers", counts)
    return Finding(
        "workers",
        f"nobody does {', '.join(absent)}: start `walletsvc worker`.",
        problem=not idle or len(absent) < len(found),
    )
