"""Whether an installation can do its work, in words: for `/readyz` and `walletsvc doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.apple import identity
from walletsvc.apple.dialect import PUSHES
from walletsvc.apple.models import ChannelState
from walletsvc.core.clock import Clock
from walletsvc.jobs.changes import CHANGES
from walletsvc.jobs.signals import listening
from walletsvc.ledger import verification
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import is_current
from walletsvc.web.health import Findings

# Not `channels`, which counts what waits: this is asked every few seconds.
_SHUT: Final = text(
    "SELECT t.identifier, c.state, c.since, c.reason"
    " FROM push_channels c JOIN pass_types t ON t.id = c.pass_type_id"
    " WHERE c.state <> 'open' ORDER BY t.identifier"
)


@dataclass(frozen=True)
class ShutChannel:
    """A pass type whose pushes are not sent."""

    pass_type: str
    state: ChannelState
    since: datetime
    reason: str

    def __str__(self) -> str:
        since = f"{self.since:%Y-%m-%d %H:%M} UTC"
        return f"{self.pass_type}: {self.state} since {since}: {self.reason}"


def shut_channels(session: Session) -> list[ShutChannel]:
    """The pass types whose pushes are stopped or paused, by identifier."""
    return [
        ShutChannel(row.identifier, ChannelState(row.state), row.since, row.reason)
        for row in session.execute(_SHUT)
    ]


def absent_workers(session: Session) -> list[str]:
    """Which work nobody is there to do, in words."""
    present = listening(session)
    return [
        f"Nobody {work}: start `walletsvc worker`."
        for channel, work in ((CHANGES, "publishes changed passes"), (PUSHES, "sends pushes"))
        if channel not in present
    ]


def examine(database: Database, settings: Settings, clock: Clock) -> Findings:
    """Everything that keeps the installation from its work, and what soon will."""
    if not is_current(database):
        return Findings(["The schema is not up to date: walletsvc migrate."], [])
    with database.read_tx() as session:
        now = clock()
        certificates = identity.check(session, settings, now)
        errors = [each for each in certificates if each.severity is identity.Severity.ERROR]
        warnings = [each for each in certificates if each not in errors]
        return Findings(
            [*map(str, errors), *absent_workers(session)],
            [*map(str, warnings), *_pushes(session), *verification.warnings(session, now)],
        )


def _pushes(session: Session) -> Iterator[str]:
    for shut in shut_channels(session):
        yield f"Pushes of {shut}"
