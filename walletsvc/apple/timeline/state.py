"""The facts of a pass for its diagnosis: what waits, who holds it, how far each phone came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlmodel import Session

from walletsvc.apple.diagnosis.facts import Facts, Line, Queued
from walletsvc.apple.dialect import PUSHES
from walletsvc.apple.identity import active_certificate
from walletsvc.apple.models import PushChannel
from walletsvc.apple.timeline import entries, phones
from walletsvc.apple.timeline.holders import Holder
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.signals import listening
from walletsvc.passes.models import EventKind
from walletsvc.passes.timeline.entries import Span
from walletsvc.passes.timeline.standing import standing
from walletsvc.passes.timeline.subject import Subject

_LATELY: Final = timedelta(hours=6)
_MOST_EVENTS: Final = 3000
_BACK: Final = timedelta(days=7)

_PUSHES: Final = text("""
SELECT device_id, min(created_at) AS created_at, min(due_at) AS due_at,
       max(attempts) AS attempts, min(lane) AS lane
  FROM pushes WHERE device_id = ANY(:devices) AND pass_type_id = :pass_type_id GROUP BY device_id
""")
_LATELY_SEEN: Final = text("""
SELECT count(DISTINCT device_id) FILTER (WHERE kind = 'pushed' AND detail->>'status' = '200'),
       min(at) FILTER (WHERE kind = 'pushed' AND detail->>'status' = '200'),
       count(*) FILTER (WHERE kind = 'asked')
  FROM pass_events WHERE pass_type_id = :pass_type_id AND at >= :since
   AND kind IN ('pushed', 'asked')
""")
_LINES: Final = text(
    "SELECT at, message FROM device_logs WHERE pass_id = :pass_id AND at >= :since ORDER BY at, id"
)


def facts(
    session: Session,
    subject: Subject,
    known: Sequence[Holder],
    *,
    now: datetime,
    recorded_since: datetime,
) -> Facts:
    """Everything the diagnosis needs to know of a pass, as of one moment."""
    pass_ = subject.pass_
    news = pass_.published_at or pass_.created_at
    since = max(recorded_since, min(news, now) - _BACK)
    rows = entries.events(session, subject, known, Span(since, now + _BACK, _MOST_EVENTS))
    certificate = active_certificate(session, pass_.pass_type_id)
    channel = session.get(PushChannel, pass_.pass_type_id)
    pushed, first_push, asked = _lately(session, pass_.pass_type_id, now)
    return Facts(
        **standing(session, subject, now=now, recorded_since=recorded_since),
        certificate_until=certificate.not_after if certificate else None,
        published_recorded=_is_recorded(rows, pass_.revision),
        downloaded_at=pass_.downloaded_at,
        sender_works=PUSHES in listening(session),
        channel=channel.state.value if channel else "open",
        channel_reason=channel.reason if channel else "",
        channel_since=channel.since if channel else None,
        channel_retry_at=channel.retry_at if channel else None,
        devices=phones.devices(subject, known, rows, _queued(session, subject, known), news),
        lines=_lines(session, pass_.id, news),
        pushed_lately=pushed,
        asked_lately=asked,
        first_push_lately=first_push,
    )


def _is_recorded(rows: Sequence[Row[Any]], revision: int) -> bool:
    return any(
        row.kind == EventKind.PUBLISHED and row.detail.get("revision") == revision for row in rows
    )


def _queued(session: Session, subject: Subject, known: Sequence[Holder]) -> Mapping[int, Queued]:
    values = {
        "devices": [holder.device_id for holder in known],
        "pass_type_id": subject.pass_.pass_type_id,
    }
    return {
        row.device_id: Queued(row.created_at, row.due_at, row.attempts, Lane(row.lane))
        for row in session.execute(_PUSHES, values)
    }


def _lately(session: Session, pass_type_id: int, now: datetime) -> tuple[int, datetime | None, int]:
    values = {"pass_type_id": pass_type_id, "since": now - _LATELY}
    pushed, first, asked = session.execute(_LATELY_SEEN, values).one()
    return pushed, first, asked


def _lines(session: Session, pass_id: int, since: datetime) -> list[Line]:
    rows = session.execute(_LINES, {"pass_id": pass_id, "since": since})
    return [Line(row.at, row.message) for row in rows]
