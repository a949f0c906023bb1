"""The lines of a timeline: what was recorded, what the ledger knows, what phones logged."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlmodel import Session

from walletsvc.apple.timeline.holders import Holder
from walletsvc.apple.timeline.subject import Subject
from walletsvc.core.errors import FieldError, InputError

_EVENTS: Final = text("""
(SELECT at, kind, pass_id, device_id, detail, id FROM pass_events
  WHERE pass_id = :pass_id AND at BETWEEN :since AND :until ORDER BY at DESC, id DESC LIMIT :limit)
UNION ALL
(SELECT at, kind, pass_id, device_id, detail, id FROM pass_events
  WHERE device_id = ANY(:devices) AND pass_id IS NULL AND pass_type_id = :pass_type_id
    AND at BETWEEN :since AND :until ORDER BY at DESC, id DESC LIMIT :limit)
ORDER BY at, id
""")
_MOVEMENTS: Final = text("""
SELECT t.at, t.public_id AS transaction, t.type, e.amount, e.balance_after, t.reason, t.actor,
       b.name AS branch
  FROM ledger_entries e
  JOIN ledger_transactions t ON t.id = e.transaction_id
  LEFT JOIN branches b ON b.id = t.branch_id
 WHERE e.account_id = :account_id AND t.at BETWEEN :since AND :until
 ORDER BY e.id DESC LIMIT :limit
""")
_LINES: Final = text(
    "SELECT at, message FROM device_logs WHERE pass_id = :pass_id AND at BETWEEN :since AND :until"
    " ORDER BY at DESC, id DESC LIMIT :limit"
)
_VERSIONS: Final = text("SELECT id, number FROM template_versions WHERE template_id = :template_id")


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR: Final = re.compile(r"([0-9]{1,17})-([0-9]{1,6})")


class EntryKind(enum.StrEnum):
    """The links of the chain, in their order; entries of one moment are shown in it."""

    CHANGED = "changed"
    PUBLISHED = "published"
    PUSHED = "pushed"
    DEVICE_LOST = "device-lost"
    ASKED = "asked"
    FETCHED = "fetched"
    UNCHANGED = "unchanged"
    REGISTERED = "registered"
    UNREGISTERED = "unregistered"
    LOGGED = "logged"


_ORDER: Final = {kind: place for place, kind in enumerate(EntryKind)}
# Which link each one follows, and whether it is that of the same phone.
_FOLLOWS: Final = {
    EntryKind.PUSHED: EntryKind.PUBLISHED,
    EntryKind.ASKED: EntryKind.PUSHED,
    EntryKind.FETCHED: EntryKind.ASKED,
    EntryKind.UNCHANGED: EntryKind.ASKED,
}


@dataclass(frozen=True)
class Entry:
    """Something that happened. `device` is a phone's label; `seconds` have passed since the
    link before it (`follows`), if that is known."""

    at: datetime
    kind: EntryKind
    device: str | None
    detail: Mapping[str, Any]
    seconds: float | None = None
    follows: EntryKind | None = None


@dataclass(frozen=True)
class Place:
    """Where a page ended: so many entries of this moment are on it or on one before."""

    at: datetime
    shown: int

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}-{self.shown}"

    @classmethod
    def parse(cls, cursor: str) -> Place:
        """The place that a cursor names; raises InputError."""
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            message = "is not a cursor of this list"
            raise InputError(f"cursor: {message}.", (FieldError("cursor", message, "invalid"),))
        return cls(_EPOCH + timedelta(microseconds=int(match[1])), int(match[2]))


def events(
    session: Session,
    subject: Subject,
    known: Sequence[Holder],
    *,
    since: datetime,
    until: datetime,
    limit: int,
) -> list[Row[Any]]:
    """Recorded events of a pass and of the phones that held it at the time, oldest first; of
    very many the newest."""
    rows = session.execute(
        _EVENTS,
        {
            "pass_id": subject.pass_.id,
            "pass_type_id": subject.pass_.pass_type_id,
            "devices": [holder.device_id for holder in known],
            "since": since,
            "until": until,
            "limit": limit,
        },
    ).all()
    first = {holder.device_id: holder.since for holder in known}
    return [row for row in rows if row.pass_id is not None or row.at >= first[row.device_id]]


def page(
    session: Session,
    subject: Subject,
    known: Sequence[Holder],
    *,
    since: datetime,
    until: datetime,
    limit: int,
    after: Place | None = None,
) -> tuple[list[Entry], Place | None]:
    """The newest `limit` entries between the two moments, oldest first, and the place to go on
    from towards older ones (None: there are none)."""
    skipped = after.shown if after else 0
    span: dict[str, Any] = {"since": since, "until": after.at if after else until}
    wanted = limit + skipped + 1
    found = [_of_event(row, subject) for row in _named(session, subject, known, span, wanted)]
    values = {**span, "limit": wanted}
    rows = session.execute(_MOVEMENTS, {**values, "account_id": subject.account_id}).all()
    found += [_entry(EntryKind.CHANGED, row._asdict()) for row in reversed(rows)]
    rows = session.execute(_LINES, {**values, "pass_id": subject.pass_.id}).all()
    found += [_entry(EntryKind.LOGGED, row._asdict()) for row in reversed(rows)]
    found.sort(key=lambda entry: (entry.at, _ORDER[entry.kind]))
    end = len(found) - skipped
    start = max(end - limit, 0)
    shown = found[start:end]
    place = None
    if start > 0 and shown:
        first = shown[0].at
        same = sum(entry.at == first for entry in found[start:])
        place = Place(first, same)
    return _with_lags(shown), place


def _named(
    session: Session, subject: Subject, known: Sequence[Holder], span: dict[str, Any], limit: int
) -> list[tuple[Row[Any], str | None, dict[int, int]]]:
    labels = {holder.device_id: holder.label for holder in known}
    rows = events(session, subject, known, **span, limit=limit)
    numbers = {
        row.id: row.number
        for row in session.execute(_VERSIONS, {"template_id": subject.pass_.template_id})
    }
    return [(row, labels.get(row.device_id), numbers) for row in rows]


def _of_event(found: tuple[Row[Any], str | None, dict[int, int]], subject: Subject) -> Entry:
    row, device, numbers = found
    detail = dict(row.detail)
    if row.kind == EntryKind.PUBLISHED:
        differs = dict(detail.get("differs") or {})
        if "@look" in differs:  # internal ids never leave
            differs["@look"] = [numbers.get(version) for version in differs["@look"]]
        detail |= {"version": numbers.get(detail.get("version", 0)), "differs": differs}
    if row.kind == EntryKind.ASKED:
        detail["pass_type"] = subject.pass_type
    return Entry(row.at, EntryKind(row.kind), device, detail)


def _entry(kind: EntryKind, values: dict[str, Any]) -> Entry:
    return Entry(values.pop("at"), kind, None, values)


def _with_lags(entries: list[Entry]) -> list[Entry]:
    """Each first entry after the link it follows says how long that took."""
    last: dict[tuple[EntryKind, str | None], datetime] = {}
    told: list[Entry] = []
    for entry in entries:
        before, at = _FOLLOWS.get(entry.kind), None
        if entry.kind is EntryKind.PUBLISHED and entry.detail.get("changed_at"):
            before = EntryKind.CHANGED
            at = datetime.fromisoformat(entry.detail["changed_at"])
        elif before is EntryKind.PUSHED:
            at = last.pop((before, entry.device), None)
        elif before is EntryKind.PUBLISHED:
            at = last.get((before, None))
        elif before is EntryKind.ASKED and not entry.detail.get("page"):
            at = last.pop((before, None), None)
        if entry.kind is EntryKind.PUSHED and entry.detail.get("status") == 200:
            last[entry.kind, entry.device] = entry.at
        elif entry.kind in (EntryKind.PUBLISHED, EntryKind.ASKED):
            last[entry.kind, None] = entry.at
        if at is not None:
            seconds = max((entry.at - at).total_seconds(), 0.0)
            entry = replace(entry, seconds=round(seconds, 3), follows=before)
        told.append(entry)
    return told
