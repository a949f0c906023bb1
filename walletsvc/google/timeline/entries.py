"""The lines of a timeline about Google: the link that was opened, what was sent, who saved it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlmodel import Session

from walletsvc.google.planning import Plan
from walletsvc.passes.models import EventKind
from walletsvc.passes.timeline.entries import (
    Entry,
    EntryKind,
    Source,
    Span,
    published,
    version_numbers,
)
from walletsvc.passes.timeline.subject import Subject

_EVENTS: Final = text(
    "SELECT at, kind, detail, id FROM pass_events WHERE pass_id = :pass_id"
    " AND at BETWEEN :since AND :until ORDER BY at DESC, id DESC LIMIT :limit"
)


def events(session: Session, subject: Subject, span: Span) -> list[Row[Any]]:
    """Recorded events of a pass, oldest first; of very many the newest."""
    values = {**span.values(), "pass_id": subject.pass_.id}
    return list(reversed(session.execute(_EVENTS, values).all()))


def source(session: Session, subject: Subject) -> Source:
    """All entries but the ledger's."""

    def found(span: Span) -> Iterator[Entry]:
        numbers = version_numbers(session, subject.pass_.template_id)
        return told(events(session, subject, span), numbers)

    return found


def told(rows: Iterable[Row[Any]], numbers: Mapping[int, int]) -> Iterator[Entry]:
    """Events as entries. What was sent says what of the pass Google had not shown before, as far
    as the publications since are among the events."""
    shown: int | None = None
    news: dict[int, dict[str, Any]] = {}
    for row in rows:
        detail = dict(row.detail)
        if row.kind == EventKind.PUBLISHED:
            detail = published(detail, numbers)
            news[int(detail["revision"])] = detail["differs"]
        elif row.kind == EventKind.SENT and _applied(detail):
            revision = int(detail["revision"])
            if detail["what"] == Plan.PATCH and shown is not None:
                detail["differs"] = _joined(news, shown, revision)
            shown = revision
        yield Entry(row.at, _kind(row), None, detail)


def _kind(row: Row[Any]) -> EntryKind:
    opened = row.kind == EventKind.FETCHED and row.detail.get("link")
    return EntryKind.OPENED if opened else EntryKind(row.kind)


def _applied(detail: Mapping[str, Any]) -> bool:
    return detail.get("action") == "done" and detail["what"] in (Plan.INSERT, Plan.PATCH)


def _joined(news: Mapping[int, dict[str, Any]], after: int, until: int) -> dict[str, Any]:
    """What differs between two revisions: of each value the first before and the last now."""
    joined: dict[str, Any] = {}
    for revision in sorted(number for number in news if after < number <= until):
        for key, (before, now) in news[revision].items():
            joined[key] = [joined[key][0] if key in joined else before, now]
    return {key: pair for key, pair in joined.items() if pair[0] != pair[1] or key.startswith("@")}


def last_sent(rows: Iterable[Row[Any]], revision: int) -> tuple[datetime | None, str]:
    """When Google was given this revision, as far as that is recorded, and how its holder was told
    of it: `asked`, `budget`, `refused`, or nothing."""
    at, buzz = None, ""
    for row in rows:
        if row.kind != EventKind.SENT or row.detail.get("action") != "done":
            continue
        detail = row.detail
        if "message" in detail:
            if at is not None and detail["what"] == "message":
                buzz = _of_message(detail) or buzz
        elif detail["what"] == Plan.LOOK:
            # It was applied although nobody answered: then the phone was told.
            buzz = "asked" if detail.get("applied") else buzz
        elif int(detail["revision"]) >= revision:
            at = row.at
            buzz = str(detail.get("buzz") or "") or buzz
    return at, buzz


def _of_message(detail: Mapping[str, Any]) -> str:
    if detail.get("state") == "sent":
        return "asked"
    return str(detail.get("buzz") or "refused")
