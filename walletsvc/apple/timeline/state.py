"""The facts of a pass for its diagnosis: what waits, who holds it, how far each phone came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlmodel import Session

from walletsvc.apple.diagnosis.facts import Facts, Line, Queued, WaitingBulk, WaitingChange
from walletsvc.apple.dialect import PUSHES
from walletsvc.apple.identity import active_certificate
from walletsvc.apple.models import PushChannel
from walletsvc.apple.timeline import entries, phones
from walletsvc.apple.timeline.holders import Holder
from walletsvc.apple.timeline.subject import Subject
from walletsvc.jobs.changes import CHANGES, Lane
from walletsvc.jobs.signals import listening
from walletsvc.passes.content import render
from walletsvc.passes.models import EventKind

_LATELY: Final = timedelta(hours=6)
_MOST_EVENTS: Final = 3000
_BACK: Final = timedelta(days=7)

_CHANGES: Final = text("""
SELECT ch.topic, ch.at, ch.lane, ch.postponed_until FROM changes ch, (
    SELECT p.id, p.card_id, p.certificate_id, c.person_id,
           coalesce(c.account_id, g.account_id) AS account_id
      FROM passes p LEFT JOIN cards c ON c.id = p.card_id
      LEFT JOIN certificates g ON g.id = p.certificate_id WHERE p.id = :pass_id) h
 WHERE (ch.topic, ch.key) IN (('pass', h.id), ('card', h.card_id), ('person', h.person_id),
       ('account', h.account_id), ('certificate', h.certificate_id))
 ORDER BY ch.id
""")
_PUSHES: Final = text("""
SELECT device_id, min(created_at) AS created_at, min(due_at) AS due_at,
       max(attempts) AS attempts, min(lane) AS lane
  FROM pushes WHERE device_id = ANY(:devices) AND pass_type_id = :pass_type_id GROUP BY device_id
""")
# Jobs work through ids in their order: new looks and certificates through passes, credits of a
# whole programme through accounts.
_BULK: Final = text("""
SELECT title, state, done, total, problem FROM bulk_jobs
 WHERE (state IN ('running', 'paused') OR state = 'failed' AND updated_at > :published_at)
   AND (kind IN ('template', 'certificate') AND cursor < :pass_id
        AND (parameters->'template_id' = to_jsonb(CAST(:template_id AS bigint))
             OR parameters->'pass_type_id' = to_jsonb(CAST(:pass_type_id AS bigint)))
        OR kind = 'credit' AND parameters->'by_number' = 'false'
        AND parameters->'programme_id' = to_jsonb(CAST(:programme_id AS bigint))
        AND cursor < :account_id
        AND parameters->'last_account_id' >= to_jsonb(CAST(:account_id AS bigint))
        OR kind = 'credit' AND EXISTS (
            SELECT FROM bulk_items i WHERE i.job_id = bulk_jobs.id AND i.item = :account_id))
 ORDER BY id
""")
_LATELY_SEEN: Final = text("""
SELECT count(DISTINCT device_id) FILTER (WHERE kind = 'pushed' AND detail->>'status' = '200'),
       min(at) FILTER (WHERE kind = 'pushed' AND detail->>'status' = '200'),
       count(*) FILTER (WHERE kind = 'asked')
  FROM pass_events WHERE pass_type_id = :pass_type_id AND at >= :since
   AND kind IN ('pushed', 'asked')
""")
_CHANGED_AT: Final = text("""
SELECT t.at FROM ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id
 WHERE e.account_id = :account_id ORDER BY e.id DESC LIMIT 1
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
    rows = entries.events(
        session, subject, known, since=since, until=now + _BACK, limit=_MOST_EVENTS
    )
    present = listening(session)
    said = render(session, [pass_.id]).get(pass_.id)
    certificate = active_certificate(session, pass_.pass_type_id)
    channel = session.get(PushChannel, pass_.pass_type_id)
    pushed, first_push, asked = _lately(session, pass_.pass_type_id, now)
    return Facts(
        now=now,
        revision=pass_.revision,
        recorded_since=recorded_since,
        certificate_until=certificate.not_after if certificate else None,
        has_template=said is not None,
        content_current=said is None
        or (pass_.content == said.content and pass_.version_id == said.version_id),
        published_at=pass_.published_at,
        published_recorded=_is_recorded(rows, pass_.revision),
        changed_at=session.execute(_CHANGED_AT, {"account_id": subject.account_id}).scalar(),
        downloaded_at=pass_.downloaded_at,
        publisher_works=CHANGES in present,
        sender_works=PUSHES in present,
        changes=_changes(session, pass_.id),
        bulk=_bulk(session, subject, news),
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


def _changes(session: Session, pass_id: int) -> list[WaitingChange]:
    return [
        WaitingChange(row.topic, row.at, Lane(row.lane), row.postponed_until)
        for row in session.execute(_CHANGES, {"pass_id": pass_id})
    ]


def _bulk(session: Session, subject: Subject, news: datetime) -> list[WaitingBulk]:
    values = {
        "pass_id": subject.pass_.id,
        "template_id": subject.pass_.template_id,
        "pass_type_id": subject.pass_.pass_type_id,
        "programme_id": subject.programme_id,
        "account_id": subject.account_id,
        "published_at": news,
    }
    return [WaitingBulk(**row._mapping) for row in session.execute(_BULK, values)]


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
