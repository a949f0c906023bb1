"""The lines of a timeline: what was recorded, what the ledger knows, what a wallet adds."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.errors import FieldError, InputError
from walletsvc.passes.timeline.subject import Subject

_MOVEMENTS: Final = text("""
SELECT t.at, t.public_id AS transaction, t.type, e.amount, e.balance_after, t.reason, t.actor,
       b.name AS branch
  FROM ledger_entries e
  JOIN ledger_transactions t ON t.id = e.transaction_id
  LEFT JOIN branches b ON b.id = t.branch_id
 WHERE e.account_id = :account_id AND t.at BETWEEN :since AND :until
 ORDER BY e.id DESC LIMIT :limit
""")
_VERSIONS: Final = text("SELECT id, number FROM template_versions WHERE template_id = :template_id")


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR: Final = re.compile(r"([0-9]{1,17})-([0-9]{1,6})")


class EntryKind(enum.StrEnum):
    """The links of the chain, in their order; entries of one moment are shown in it.

    Apple's phones are pushed, ask and fetch; Google is sent the pass and says who saved it.
    """

    CHANGED = "changed"
    OPENED = "opened"
    PUBLISHED = "published"
    PUSHED = "pushed"
    SENT = "sent"
    SAVED = "saved"
    REMOVED = "removed"
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
    EntryKind.SENT: EntryKind.PUBLISHED,
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


@dataclass(frozen=True)
class Span:
    """Between which moments entries are wanted, and how many at most, the newest first served."""

    since: datetime
    until: datetime
    limit: int

    def values(self) -> dict[str, Any]:
        """As parameters of a query."""
        return {"since": self.since, "until": self.until, "limit": self.limit}


Source = Callable[[Span], Iterable[Entry]]


def page(
    session: Session,
    subject: Subject,
    source: Source,
    span: Span,
    after: Place | None = None,
) -> tuple[list[Entry], Place | None]:
    """The newest entries of a span, oldest first, and the place to go on from towards older ones
    (None: there are none). `source` gives those that a wallet knows, each kind oldest first."""
    skipped = after.shown if after else 0
    wanted = Span(span.since, after.at if after else span.until, span.limit + skipped + 1)
    found = [*source(wanted), *_movements(session, subject, wanted)]
    found.sort(key=lambda entry: (entry.at, _ORDER[entry.kind]))
    end = len(found) - skipped
    start = max(end - span.limit, 0)
    shown = found[start:end]
    place = None
    if start > 0 and shown:
        first = shown[0].at
        same = sum(entry.at == first for entry in found[start:])
        place = Place(first, same)
    return _with_lags(shown), place


def _movements(session: Session, subject: Subject, span: Span) -> Iterable[Entry]:
    values = {**span.values(), "account_id": subject.account_id}
    rows = session.execute(_MOVEMENTS, values).all()
    return [entry_of(EntryKind.CHANGED, row._asdict()) for row in reversed(rows)]


def entry_of(kind: EntryKind, values: dict[str, Any]) -> Entry:
    """An entry of a row whose column `at` says when."""
    return Entry(values.pop("at"), kind, None, values)


def version_numbers(session: Session, template_id: int) -> dict[int, int]:
    """The numbers of a template's versions: internal ids never leave."""
    rows = session.execute(_VERSIONS, {"template_id": template_id})
    return {row.id: row.number for row in rows}


def published(detail: Mapping[str, Any], numbers: Mapping[int, int]) -> dict[str, Any]:
    """What was recorded of a publication, with numbers of versions in place of ids."""
    differs = dict(detail.get("differs") or {})
    if "@look" in differs:
        differs["@look"] = [numbers.get(version) for version in differs["@look"]]
    return {**detail, "version": numbers.get(detail.get("version", 0)), "differs": differs}


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
