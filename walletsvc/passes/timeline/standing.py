"""How a pass stands before any wallet comes into it: what it says, and what is not published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.jobs.changes import CHANGES, Lane
from walletsvc.jobs.signals import listening
from walletsvc.passes.content import render
from walletsvc.passes.timeline.subject import Subject

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
_CHANGED_AT: Final = text("""
SELECT t.at FROM ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id
 WHERE e.account_id = :account_id ORDER BY e.id DESC LIMIT 1
""")


@dataclass(frozen=True)
class WaitingChange:
    """A change in the log that has not been acted on."""

    topic: str
    at: datetime
    lane: Lane
    postponed_until: datetime | None = None


@dataclass(frozen=True)
class WaitingBulk:
    """A bulk job that has not reached the pass."""

    title: str
    state: str
    done: int
    total: int
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the rules of every wallet look at. `recorded_since`: nothing older is kept.

    `content_current` says that the pass would say now what was last published of it.
    """

    now: datetime
    revision: int
    recorded_since: datetime
    has_template: bool = True
    content_current: bool = True
    published_at: datetime | None = None
    changed_at: datetime | None = None
    publisher_works: bool = True
    changes: Sequence[WaitingChange] = ()
    bulk: Sequence[WaitingBulk] = ()


def standing(
    session: Session, subject: Subject, *, now: datetime, recorded_since: datetime
) -> dict[str, Any]:
    """The fields of a `Standing`, for the facts of a wallet to begin with."""
    pass_ = subject.pass_
    said = render(session, [pass_.id]).get(pass_.id)
    return {
        "now": now,
        "revision": pass_.revision,
        "recorded_since": recorded_since,
        "has_template": said is not None,
        "content_current": said is None
        or (pass_.content == said.content and pass_.version_id == said.version_id),
        "published_at": pass_.published_at,
        "changed_at": session.execute(_CHANGED_AT, {"account_id": subject.account_id}).scalar(),
        "publisher_works": CHANGES in listening(session),
        "changes": _changes(session, pass_.id),
        "bulk": _bulk(session, subject, pass_.published_at or pass_.created_at),
    }


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
