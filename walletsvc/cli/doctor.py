"""`walletsvc doctor`: what an operator looks at first, in words."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import click
from sqlalchemy import text
from sqlmodel import Session, select

from walletsvc import app
from walletsvc.apple import identity, inventory, readiness
from walletsvc.apple.models import ChannelState
from walletsvc.cli.run import load_settings
from walletsvc.core.clock import Clock
from walletsvc.core.errors import ConfigurationError
from walletsvc.jobs.presence import present
from walletsvc.passes.models import PassType, Wallet
from walletsvc.settings import Settings
from walletsvc.storage.engine import POOL_OVERFLOW, Database

# Tags, Last-Modified and due times come from the hosts' clocks.
CLOCK_SECONDS: Final = 2.0
FREE_BYTES: Final = 1024**3
# Purchases are published in a second; a push may have to wait for Apple.
LATE_CHANGE_SECONDS: Final = 120.0
LATE_PUSH_SECONDS: Final = 3600.0

# Publisher, sender and job worker together: pools, listeners, signals.
WORKER_CONNECTIONS: Final = 25

_WAITING: Final = """
SELECT 'changes' AS what, count(*) AS waiting, min(at) FILTER (WHERE lane = 0) AS oldest
FROM changes
UNION ALL SELECT 'pushes', count(*), min(created_at) FROM pushes
"""


@dataclass(frozen=True)
class Finding:
    """One line of the report; a problem makes the command fail."""

    about: str
    text: str
    problem: bool = False


@click.command()
def doctor() -> None:
    """Check settings, certificates, workers, queues, disk and clock; exit 1 with what is wrong."""
    with app.open_installation(load_settings()) as installation:
        findings = list(examine(installation))
    for finding in findings:
        mark = "PROBLEM  " if finding.problem else ""
        click.echo(f"{finding.about:<16} {mark}{finding.text}")
    problems = sum(finding.problem for finding in findings)
    if problems:
        raise ConfigurationError(f"{problems} problem(s) found.")


def examine(installation: app.Installation) -> Iterator[Finding]:
    """Everything there is to say, good and bad."""
    settings, now = installation.settings, installation.clock()
    yield Finding("data directory", str(settings.data_dir.absolute()))
    for remark in inventory.open_folder("data directory", settings.data_dir):
        yield Finding("data directory", f"warning: {remark}")
    yield disk(settings.data_dir)
    yield Finding("public address", settings.base_url)
    yield Finding("database", "answers, schema up to date")
    yield clock(installation.database, installation.clock)
    with installation.database.read_tx() as session:
        wrong = identity.check(session, settings, now)
        for each in wrong:
            error = each.severity is identity.Severity.ERROR
            mark = "" if error else "warning: "
            yield Finding("certificates", f"{mark}{each}", problem=error)
        if not wrong:
            some = (
                session.exec(
                    select(PassType.id).where(PassType.wallet == Wallet.APPLE).limit(1)
                ).first()
                is not None
            )
            state = "in order" if some else "none yet (walletsvc certs dev makes some to try)"
            yield Finding("certificates", state)
        yield connections(session, settings)
        yield from channels(session)
        queues = list(waiting(session, now))
        yield from queues
        idle = all(finding.text == "none waiting" for finding in queues)
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


def channels(session: Session) -> Iterator[Finding]:
    """Pass types whose pushes are not sent."""
    for shut in readiness.shut_channels(session):
        yield Finding("pushes", str(shut), problem=shut.state is ChannelState.STOPPED)


def waiting(session: Session, now: datetime) -> Iterator[Finding]:
    """What is not published or not sent yet, and since when."""
    late = {"changes": LATE_CHANGE_SECONDS, "pushes": LATE_PUSH_SECONDS}
    for row in session.execute(text(_WAITING)):
        if not row.waiting:
            yield Finding(row.what, "none waiting")
            continue
        age = (now - row.oldest).total_seconds() if row.oldest else 0.0
        since = f", the oldest for {age:.0f} s" if row.oldest else " in bulk"
        yield Finding(row.what, f"{row.waiting} waiting{since}", problem=age > late[row.what])


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
