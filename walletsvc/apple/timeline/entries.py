"""The lines of a timeline that Apple's phones leave: what was recorded of them, and their log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlmodel import Session

from walletsvc.apple.timeline.holders import Holder
from walletsvc.passes.timeline.entries import (
    Entry,
    EntryKind,
    Source,
    Span,
    entry_of,
    published,
    version_numbers,
)
from walletsvc.passes.timeline.subject import Subject

_EVENTS: Final = text("""
(SELECT at, kind, pass_id, device_id, detail, id FROM pass_events
  WHERE pass_id = :pass_id AND at BETWEEN :since AND :until ORDER BY at DESC, id DESC LIMIT :limit)
UNION ALL
(SELECT at, kind, pass_id, device_id, detail, id FROM pass_events
  WHERE device_id = ANY(:devices) AND pass_id IS NULL AND pass_type_id = :pass_type_id
    AND at BETWEEN :since AND :until ORDER BY at DESC, id DESC LIMIT :limit)
ORDER BY at, id
""")
_LINES: Final = text(
    "SELECT at, message FROM device_logs WHERE pass_id = :pass_id AND at BETWEEN :since AND :until"
    " ORDER BY at DESC, id DESC LIMIT :limit"
)


def events(
    session: Session, subject: Subject, known: Sequence[Holder], span: Span
) -> list[Row[Any]]:
    """Recorded events of a pass and of the phones that held it at the time, oldest first; of
    very many the newest."""
    rows = session.execute(
        _EVENTS,
        {
            **span.values(),
            "pass_id": subject.pass_.id,
            "pass_type_id": subject.pass_.pass_type_id,
            "devices": [holder.device_id for holder in known],
        },
    ).all()
    first = {holder.device_id: holder.since for holder in known}
    return [row for row in rows if row.pass_id is not None or row.at >= first[row.device_id]]


def source(session: Session, subject: Subject, known: Sequence[Holder]) -> Source:
    """All entries but the ledger's."""

    def found(span: Span) -> Iterator[Entry]:
        labels = {holder.device_id: holder.label for holder in known}
        numbers = version_numbers(session, subject.pass_.template_id)
        for row in events(session, subject, known, span):
            yield _of_event(row, labels.get(row.device_id), numbers, subject)
        values = {**span.values(), "pass_id": subject.pass_.id}
        for row in reversed(session.execute(_LINES, values).all()):
            yield entry_of(EntryKind.LOGGED, row._asdict())

    return found


def _of_event(
    row: Row[Any], device: str | None, numbers: Mapping[int, int], subject: Subject
) -> Entry:
    detail = dict(row.detail)
    if row.kind == EntryKind.PUBLISHED:
        detail = published(detail, numbers)
    if row.kind == EntryKind.ASKED:
        detail["pass_type"] = subject.pass_type
    return Entry(row.at, EntryKind(row.kind), device, detail)
