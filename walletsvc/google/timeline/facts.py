"""What the rules of the diagnosis look at: an object at Google, and what is still to be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlmodel import Session

from walletsvc.google import budget
from walletsvc.google.due import GOOGLE
from walletsvc.google.models import GoogleClass, GoogleIssuer, GoogleObject, IssuerState
from walletsvc.google.planning import Plan
from walletsvc.google.timeline import entries
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.signals import listening
from walletsvc.passes.models import EventKind
from walletsvc.passes.timeline.entries import Span
from walletsvc.passes.timeline.standing import Standing, standing
from walletsvc.passes.timeline.subject import Subject

_MOST_EVENTS: Final = 1000
_SLACK: Final = timedelta(seconds=1)  # clocks of several hosts may differ by so much
_AHEAD: Final = timedelta(days=7)
_MESSAGES: Final = text(
    "SELECT created_at AS at, due_at, attempts, lane, state, error FROM google_messages"
    " WHERE pass_id = :pass_id AND (state = 'due' OR state = 'refused' AND created_at >= :since)"
    " ORDER BY id"
)


@dataclass(frozen=True)
class Message:
    """A message to the pass that was not shown: it waits, or was refused (`reason`)."""

    at: datetime
    due_at: datetime
    attempts: int
    lane: Lane
    refused: bool = False
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts(Standing):
    """Everything the rules look at.

    `opened_at` is when somebody first wanted the pass, `sent_at` when Google was given what it
    shows, and `buzz` how the holder was told of that (asked, budget, refused, or nothing).
    `refused` is Google's word on what it will not take, `answer` the last failure that is tried
    again. `left` notifications of the day are left; the next comes back at `next_at`.
    """

    opened_at: datetime | None = None
    inserted_at: datetime | None = None
    has_users: bool = False
    saved_at: datetime | None = None
    removed_at: datetime | None = None
    sent_revision: int = 0
    sent_at: datetime | None = None
    buzz: str = ""
    due_at: datetime | None = None
    lane: Lane = Lane.INTERACTIVE
    attempts: int = 0
    unanswered: bool = False
    refused: str = ""
    answer: str = ""
    messages: Sequence[Message] = ()
    class_there: bool = True
    class_error: str = ""
    class_status: str = ""
    issuer: IssuerState = IssuerState.OPEN
    issuer_reason: str = ""
    issuer_since: datetime | None = None
    issuer_retry_at: datetime | None = None
    sender_works: bool = True
    left: int = budget.ALLOWANCE
    next_at: datetime | None = None


def facts(session: Session, subject: Subject, *, now: datetime, recorded_since: datetime) -> Facts:
    """Everything the diagnosis needs to know of a pass, as of one moment."""
    pass_ = subject.pass_
    news = pass_.published_at or pass_.created_at
    span = Span(max(recorded_since, news - _SLACK), now + _AHEAD, _MOST_EVENTS)
    rows = entries.events(session, subject, span)
    known = session.get(GoogleObject, pass_.id, populate_existing=True)
    left, next_at = budget.budget(session, pass_.id, now)
    return Facts(
        **standing(session, subject, now=now, recorded_since=recorded_since),
        **(_of_object(session, known, rows) if known is not None else {}),
        **_of_issuer(session, pass_.pass_type_id),
        messages=_messages(session, pass_.id, news),
        sender_works=GOOGLE in listening(session),
        left=left,
        next_at=next_at,
    )


def _of_object(session: Session, known: GoogleObject, rows: Sequence[Row[Any]]) -> dict[str, Any]:
    parent = session.get_one(GoogleClass, known.google_class_id, populate_existing=True)
    sent_at, buzz = entries.last_sent(rows, known.sent_revision)
    waits = known.due_at is not None
    return {
        "opened_at": known.created_at,
        "inserted_at": known.inserted_at,
        "has_users": known.has_users,
        "saved_at": known.saved_at,
        "removed_at": known.removed_at,
        "sent_revision": known.sent_revision,
        "sent_at": sent_at,
        "buzz": buzz,
        "due_at": known.due_at,
        "lane": Lane(known.lane),
        "attempts": known.attempts,
        "unanswered": "key" in (known.attempt or {}),
        "refused": "" if waits else known.error,
        "answer": _failure(rows) if waits else "",
        "class_there": parent.digest is not None,
        "class_error": parent.error,
        "class_status": _plain(parent.review_status),
    }


def _failure(rows: Sequence[Row[Any]]) -> str:
    """The answer to the last request, if that failed."""
    sent = [
        row.detail
        for row in rows
        if row.kind == EventKind.SENT and "message" not in row.detail and not _in_doubt(row.detail)
    ]
    if not sent or sent[-1].get("action") == "done":
        return ""
    return " ".join(str(sent[-1][key]) for key in ("status", "reason") if sent[-1].get(key)) or "?"


def _in_doubt(detail: Mapping[str, Any]) -> bool:
    """Whether a look found nothing, so that what was not answered for still is not."""
    looked = detail.get("what") == Plan.LOOK and detail.get("action") == "done"
    return looked and detail.get("applied") is None


def _plain(status: str) -> str:
    """Google spells constants as it likes: `UNDER_REVIEW`, `underReview`."""
    return status.replace("_", "").lower()


def _of_issuer(session: Session, pass_type_id: int) -> dict[str, Any]:
    issuer = session.get(GoogleIssuer, pass_type_id, populate_existing=True)
    if issuer is None:
        return {}
    return {
        "issuer": issuer.state,
        "issuer_reason": issuer.reason,
        "issuer_since": issuer.since,
        "issuer_retry_at": issuer.retry_at,
    }


def _messages(session: Session, pass_id: int, since: datetime) -> list[Message]:
    rows = session.execute(_MESSAGES, {"pass_id": pass_id, "since": since})
    return [
        Message(row.at, row.due_at, row.attempts, Lane(row.lane), row.state == "refused", row.error)
        for row in rows
    ]
