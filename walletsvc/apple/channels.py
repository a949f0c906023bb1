"""The circuit breaker of each pass type's pushes: one row for all senders of an installation.

No row means that pushes are sent. A fault that concerns all of them stops the channel: nothing
is sent or deleted until `retry_at`, when one sender tries one push. What it learns either
closes the breaker or puts the next try off, longer each time. A stop without `retry_at`, and a
pause, last until the operator resumes. Source of the faults: `rules`.

A fault of one host (its key, its clock, its network) is only noted here, for the operator to
see: a stop with no failures. It binds nobody but the sender that wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.apple.dialect import PUSHES
from walletsvc.apple.models import ChannelState
from walletsvc.core.actor import Actor
from walletsvc.core.errors import NotFound
from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import signal

# How long a sender has to find out with one push whether it works again.
PROBE: Final = timedelta(seconds=20)
# How long lost devices are believed after the operator said so.
BELIEVED: Final = timedelta(hours=1)
_MAX_REASON: Final = 500

# All that senders need to know, in one look.
_STANDINGS = text(
    "SELECT t.id, t.identifier, k.fingerprint,"
    "   CASE WHEN n.noted THEN 'open' ELSE COALESCE(c.state, 'open') END AS state,"
    "   CASE WHEN NOT n.noted THEN c.retry_at END AS retry_at,"
    "   CASE WHEN n.noted THEN c.retry_at END AS noted_until,"
    "   COALESCE(c.failures, 0) AS failures,"
    "   EXISTS (SELECT FROM pushes p"
    "     WHERE p.pass_type_id = t.id AND p.lane = 0 AND p.due_at <= :now) AS urgent,"
    "   EXISTS (SELECT FROM pushes p"
    "     WHERE p.pass_type_id = t.id AND p.lane = 1 AND p.due_at <= :now) AS bulk"
    " FROM pass_types t LEFT JOIN push_channels c ON c.pass_type_id = t.id"
    " LEFT JOIN signing_certificates k ON k.pass_type_id = t.id AND k.state = 'active'"
    " CROSS JOIN LATERAL (SELECT COALESCE("
    "   c.state = 'stopped' AND c.failures = 0 AND c.retry_at IS NOT NULL, false)) AS n(noted)"
    " WHERE t.wallet = 'apple'"
)
# What all senders know, the operator's word included, is not written over.
_NOTE = text(
    "INSERT INTO push_channels (pass_type_id, state, reason, failures, since, retry_at)"
    " VALUES (:id, 'stopped', :reason, 0, :now, :retry_at)"
    " ON CONFLICT (pass_type_id) DO UPDATE"
    "   SET reason = EXCLUDED.reason, retry_at = EXCLUDED.retry_at"
    " WHERE push_channels.state = 'stopped' AND push_channels.failures = 0"
    "   AND push_channels.retry_at IS NOT NULL"
    " RETURNING pass_type_id"
)
_UNNOTE = text(
    "DELETE FROM push_channels"
    " WHERE pass_type_id = :id AND state = 'stopped' AND failures = 0 AND retry_at IS NOT NULL"
)
# A pause, and a stop that only the operator may end, stay as they are.
_STOP = text(
    "INSERT INTO push_channels (pass_type_id, state, reason, failures, since, retry_at)"
    " VALUES (:id, 'stopped', :reason, :failures, :now, :retry_at)"
    " ON CONFLICT (pass_type_id) DO UPDATE SET state = 'stopped', reason = EXCLUDED.reason,"
    "   failures = EXCLUDED.failures, retry_at = EXCLUDED.retry_at,"
    "   since = CASE WHEN push_channels.state = 'stopped' THEN push_channels.since"
    "     ELSE EXCLUDED.since END"
    " WHERE push_channels.state = 'open'"
    "   OR push_channels.state = 'stopped' AND push_channels.retry_at IS NOT NULL"
)
_PROBE = text(
    "UPDATE push_channels SET retry_at = :until"
    " WHERE pass_type_id = :id AND state = 'stopped' AND retry_at <= :now RETURNING failures"
)
_WORKS = text("DELETE FROM push_channels WHERE pass_type_id = :id AND state = 'stopped'")
_FIND = text(
    "SELECT id, identifier FROM pass_types WHERE wallet = 'apple'"
    " AND (CAST(:identifier AS text) IS NULL OR identifier = :identifier)"
    " ORDER BY identifier"
)
_PAUSE = text(
    "INSERT INTO push_channels (pass_type_id, state, reason, failures, since)"
    " VALUES (:id, 'paused', :reason, 0, :now)"
    " ON CONFLICT (pass_type_id) DO UPDATE SET state = 'paused', reason = EXCLUDED.reason,"
    "   failures = 0, since = EXCLUDED.since, retry_at = NULL"
    " WHERE push_channels.state <> 'paused'"
)
_RESUME = text("DELETE FROM push_channels WHERE pass_type_id = :id")
_BELIEVE = text(
    "INSERT INTO push_channels (pass_type_id, state, reason, failures, since, retry_at)"
    " VALUES (:id, 'open', :reason, 0, :now, :until)"
    " ON CONFLICT (pass_type_id) DO UPDATE SET state = 'open', reason = EXCLUDED.reason,"
    "   failures = 0, since = EXCLUDED.since, retry_at = EXCLUDED.retry_at"
)
_STATUS = text(
    "SELECT t.id, t.identifier, COALESCE(c.state, 'open') AS state,"
    "   COALESCE(c.reason, '') AS reason, COALESCE(c.failures, 0) AS failures, c.since, c.retry_at"
    " FROM pass_types t LEFT JOIN push_channels c ON c.pass_type_id = t.id"
    " WHERE t.wallet = 'apple' ORDER BY t.identifier"
)
_WAITING = text(
    "SELECT pass_type_id, lane, count(*) AS pushes, min(created_at) AS oldest FROM pushes"
    " GROUP BY pass_type_id, lane"
)


class Standing(NamedTuple):
    """What a sender must know of a pass type before it sends: the active certificate, the
    breaker, until when some sender rests by a fault of its own host, and in which lanes
    something is due."""

    pass_type_id: int
    identifier: str
    fingerprint: str | None
    state: ChannelState
    retry_at: datetime | None
    noted_until: datetime | None
    failures: int
    urgent: bool
    bulk: bool


class Waiting(NamedTuple):
    """Pushes of a lane that are not settled, and since when the oldest waits."""

    pushes: int
    oldest: datetime | None


@dataclass(frozen=True)
class ChannelStatus:
    """The pushes of a pass type as an operator sees them. `since`, `retry_at` and `reason` say
    more about a channel that is not simply open."""

    pass_type: str
    state: ChannelState
    reason: str
    failures: int
    since: datetime | None
    retry_at: datetime | None
    waiting: dict[Lane, Waiting]


def standings(session: Session, now: datetime) -> list[Standing]:
    """Every pass type's standing, with one small query."""
    return [
        Standing(*row)._replace(state=ChannelState(row.state))
        for row in session.execute(_STANDINGS, {"now": now})
    ]


def channels(session: Session) -> list[ChannelStatus]:
    """Every pass type's channel, by identifier."""
    waiting = {
        (row.pass_type_id, Lane(row.lane)): Waiting(row.pushes, row.oldest)
        for row in session.execute(_WAITING)
    }
    return [
        ChannelStatus(
            pass_type=row.identifier,
            state=ChannelState(row.state),
            reason=row.reason,
            failures=row.failures,
            since=row.since,
            retry_at=row.retry_at,
            waiting={lane: waiting.get((row.id, lane), Waiting(0, None)) for lane in Lane},
        )
        for row in session.execute(_STATUS)
    ]


def stop(
    session: Session,
    pass_type_id: int,
    *,
    reason: str,
    failures: int,
    retry_at: datetime | None,
    now: datetime,
) -> None:
    """Send nothing before `retry_at` (None: before the operator says so)."""
    values = {"id": pass_type_id, "failures": failures, "retry_at": retry_at, "now": now}
    session.execute(_STOP, values | {"reason": reason[:_MAX_REASON]})


def note(
    session: Session, pass_type_id: int, *, reason: str, retry_at: datetime, now: datetime
) -> bool:
    """Let the operator see that one sender rests, by a fault that only it has; whether that was
    written: nothing that concerns all senders is written over."""
    values = {"id": pass_type_id, "retry_at": retry_at, "now": now}
    return session.execute(_NOTE, values | {"reason": reason[:_MAX_REASON]}).first() is not None


def forget_note(session: Session, pass_type_id: int) -> None:
    """The fault that was noted is over."""
    session.execute(_UNNOTE, {"id": pass_type_id})


def begin_probe(session: Session, pass_type_id: int, now: datetime) -> bool:
    """Whether this sender is the one that tries a stopped channel now."""
    values = {"id": pass_type_id, "now": now, "until": now + PROBE}
    return session.execute(_PROBE, values).first() is not None


def works(session: Session, pass_type_id: int) -> None:
    """A push was accepted: a stopped channel is open again."""
    session.execute(_WORKS, {"id": pass_type_id})


def pause(session: Session, identifier: str | None, *, actor: Actor, now: datetime) -> list[str]:
    """Send nothing for a pass type (None: for all) until resumed; returns which they are.

    Raises NotFound for an unknown one.
    """
    found = _find(session, identifier)
    for pass_type_id, _ in found:
        session.execute(_PAUSE, {"id": pass_type_id, "reason": f"Paused by {actor}.", "now": now})
    signal(session, PUSHES)
    return [name for _, name in found]


def resume(
    session: Session,
    identifier: str | None,
    *,
    actor: Actor,
    now: datetime,
    accept_losses: bool = False,
) -> list[str]:
    """Send again for a pass type (None: for all), at once; returns which they are.

    With `accept_losses` Apple is believed for an hour however many devices it calls gone.
    Raises NotFound for an unknown pass type.
    """
    found = _find(session, identifier)
    for pass_type_id, _ in found:
        if accept_losses:
            reason = f"Lost devices are believed for now, as {actor} said."
            values = {"id": pass_type_id, "reason": reason, "now": now, "until": now + BELIEVED}
            session.execute(_BELIEVE, values)
        else:
            session.execute(_RESUME, {"id": pass_type_id})
    signal(session, PUSHES)
    return [name for _, name in found]


def _find(session: Session, identifier: str | None) -> list[tuple[int, str]]:
    found = [(row.id, row.identifier) for row in session.execute(_FIND, {"identifier": identifier})]
    if identifier is not None and not found:
        raise NotFound(f"There is no pass type '{identifier}'.")
    return found
