"""Judging objects by what Google was just found to hold, and putting right what differs.

Between asking Google and writing somebody else may have sent, saved or removed the object. So a
row counts only as it was before Google was asked (its `version`); of any other nothing can be
said, and the next comparison looks again.

A repair makes no sound. The object is sent as if it had never been, which announces nothing, with
what it says by then written down as told. Who holds it without our knowing is given what the card
says now: nobody published it for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.google.due import GOOGLE
from walletsvc.google.models import Kind
from walletsvc.google.reconciling.comparing import differing
from walletsvc.google.reconciling.report import Report
from walletsvc.google.wanted import House, WantedObject, objects
from walletsvc.jobs.changes import Lane
from walletsvc.passes.events import Event, record
from walletsvc.passes.models import EventKind
from walletsvc.passes.publish import Cause, Publisher
from walletsvc.storage.engine import signal

Body = Mapping[str, Any]

_CAUSE: Final = Cause(frozenset({"reconcile"}))
_FOUND: Final = {"found": "reconcile"}  # how we know, for the timeline

# `busy`: something is to be sent, or nobody knows whether it was.
_ROWS: Final = (
    "SELECT o.pass_id, o.object_id, o.xmin::text AS version, o.has_users, c.kind, c.pass_type_id,"
    "   o.inserted_at IS NOT NULL AS inserted, o.messages,"
    "   o.due_at IS NOT NULL OR COALESCE(o.attempt ? 'key', false) AS busy"
    " FROM google_objects o JOIN google_classes c ON c.id = o.google_class_id"
)
_NAMED: Final = text(f"{_ROWS} WHERE o.object_id = ANY(:names)")
_NUMBERED: Final = text(f"{_ROWS} WHERE o.pass_id = ANY(:ids)")
# What was inserted since the list began may well be missing in it.
_AFTER: Final = text(
    "SELECT pass_id FROM google_objects WHERE google_class_id = :class_id AND pass_id > :cursor"
    " AND inserted_at <= :before ORDER BY pass_id LIMIT :limit"
)
# Passes first, as publishing does.
_LOCK_PASSES: Final = text(
    "SELECT id FROM passes WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE"
)
_LOCK: Final = text(
    "SELECT pass_id, xmin::text AS version FROM google_objects WHERE pass_id = ANY(:ids)"
    " ORDER BY pass_id FOR NO KEY UPDATE"
)
_REPAIR: Final = text(
    "UPDATE google_objects o SET has_users = n.has_users,"
    "   inserted_at = CASE WHEN n.lost THEN NULL"
    "     ELSE COALESCE(o.inserted_at, CAST(:now AS timestamptz)) END,"
    "   saved_at = CASE WHEN n.has_users AND NOT o.has_users THEN CAST(:now AS timestamptz)"
    "     ELSE o.saved_at END,"
    "   removed_at = CASE WHEN o.has_users AND NOT n.has_users THEN CAST(:now AS timestamptz)"
    "     ELSE o.removed_at END,"
    "   messages = n.messages,"
    "   sent_revision = CASE WHEN n.again OR n.lost THEN 0 ELSE o.sent_revision END,"
    "   sent_values = CASE WHEN n.again THEN n.told ELSE o.sent_values END,"
    "   attempt = CASE WHEN n.again THEN NULL ELSE o.attempt END,"
    "   attempts = CASE WHEN n.again THEN 0 ELSE o.attempts END,"
    "   error = CASE WHEN n.again THEN '' ELSE o.error END,"
    "   lane = CASE WHEN n.again THEN :lane ELSE o.lane END,"
    "   due_at = CASE WHEN n.again THEN CAST(:now AS timestamptz) ELSE o.due_at END"
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS n(pass_id bigint, has_users boolean,"
    "   lost boolean, messages int, again boolean, told jsonb)"
    " WHERE o.pass_id = n.pass_id"
)
_COUNT_MESSAGES: Final = text(
    "UPDATE google_objects o SET messages = n.messages"
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb))"
    "   AS n(pass_id bigint, version text, messages int)"
    " WHERE o.pass_id = n.pass_id AND o.xmin::text = n.version AND o.due_at IS NULL"
)


@dataclass(frozen=True, slots=True)
class Known:
    """An object as our books have it."""

    pass_id: int
    object_id: str
    version: str
    has_users: bool
    kind: Kind
    pass_type_id: int
    inserted: bool
    messages: int
    busy: bool


class Seen(NamedTuple):
    """An object as our books had it before Google was asked, and what Google has then."""

    known: Known
    theirs: Body | None


def by_name(session: Session, names: Iterable[str]) -> dict[str, Known]:
    """The objects with these ids, by id."""
    found = session.execute(_NAMED, {"names": list(names)})
    return {row.object_id: _known(row) for row in found}


def by_pass(session: Session, ids: Iterable[int]) -> list[Known]:
    """The objects of these passes."""
    return [_known(row) for row in session.execute(_NUMBERED, {"ids": sorted(ids)})]


def after(
    session: Session, class_id: int, cursor: int, *, before: datetime, limit: int
) -> Sequence[int]:
    """The next passes whose objects Google should have since `before`, in order."""
    values = {"class_id": class_id, "cursor": cursor, "before": before, "limit": limit}
    return session.execute(_AFTER, values).scalars().all()


def suspect(seen: Seen, wanted: WantedObject | None, now: datetime) -> bool:
    """Whether an object that Google lists is worth a second look."""
    known, theirs = seen
    if theirs is None or not known.inserted:
        return True
    held = bool(theirs.get("hasUsers"))
    return held != known.has_users or (
        held and wanted is not None and bool(differing(theirs, wanted.body, now))
    )


def count_messages(session: Session, pairs: Iterable[Seen]) -> None:
    """Write down how many messages Google holds where our books say otherwise: what was sent
    before a restore is in none of them, and Google takes only ten."""
    rows = [
        {"pass_id": known.pass_id, "version": known.version, "messages": messages(theirs)}
        for known, theirs in pairs
        if theirs is not None and not known.busy and messages(theirs) != known.messages
    ]
    if rows:
        session.execute(_COUNT_MESSAGES, {"rows": orjson.dumps(rows).decode()})


def publish(
    session: Session, pass_ids: Sequence[int], publisher: Publisher, *, now: datetime
) -> set[int]:
    """Publish what these passes say now; returns those that said something else before."""
    causes = dict.fromkeys(pass_ids, _CAUSE)
    return publisher.publish(session, pass_ids, lane=Lane.BULK, now=now, causes=causes)


def messages(theirs: Body) -> int:
    """How many messages Google's copy holds."""
    return len(theirs.get("messages") or ())


def repair(
    session: Session,
    pairs: Sequence[Seen],
    publisher: Publisher,
    house: House,
    report: Report,
    *,
    now: datetime,
) -> None:
    """Judge objects that Google was asked about, write down what is true of them and what is to be
    sent again, and note it in the report."""
    ids = sorted(seen.known.pass_id for seen in pairs)
    session.execute(_LOCK_PASSES, {"ids": ids})
    versions = {row.pass_id: row.version for row in session.execute(_LOCK, {"ids": ids})}
    sure = [
        seen
        for seen in pairs
        if not seen.known.busy and versions.get(seen.known.pass_id) == seen.known.version
    ]
    report.counts.busy += len(pairs) - len(sure)
    saved = [each.known.pass_id for each in sure if _held(each) and not each.known.has_users]
    publish(session, saved, publisher, now=now)
    wanted = objects(session, [seen.known.pass_id for seen in sure], house)
    rows = [_judge(seen, wanted.get(seen.known.pass_id), report, now) for seen in sure]
    written = [row for row in rows if row is not None]
    if not written:
        return
    values = {"rows": orjson.dumps(written).decode(), "lane": int(Lane.BULK), "now": now}
    session.execute(_REPAIR, values)
    record(session, [_event(seen, now) for seen in sure if _held(seen) != seen.known.has_users])
    signal(session, GOOGLE)


def _judge(
    seen: Seen, wanted: WantedObject | None, report: Report, now: datetime
) -> dict[str, Any] | None:
    """What is to be written of an object; None when everything is as it should be."""
    known, theirs = seen
    held = _held(seen)
    again = False
    if theirs is None:
        if not known.inserted:
            return None
        # Who had it had it through Google: whether anybody has it again shows the next time.
        held = again = known.has_users
        said = "inserted again" if held else "nobody holds it"
        report.note(known.object_id, "lost", f"Google does not have it: {said}")
    else:
        if not known.inserted:
            report.note(known.object_id, "found", "Google has it, and we did not know")
        if held != known.has_users:
            kind = "saved" if held else "removed"
            report.note(known.object_id, kind, f"{kind}, and nobody told us")
        names = differing(theirs, wanted.body, now) if held and wanted is not None else []
        if names:
            again = True
            report.note(known.object_id, "edited", f"Google has another {', '.join(names)}")
        if not names and known.inserted and held == known.has_users:
            return None
    return {
        "pass_id": known.pass_id,
        "has_users": held,
        "lost": theirs is None,
        "messages": messages(theirs or {}),
        "again": again,
        "told": wanted.values if wanted is not None else {},
    }


def _held(seen: Seen) -> bool:
    """Whether somebody holds it. What Google does not have is out of nobody's wallet by that."""
    return seen.known.has_users if seen.theirs is None else bool(seen.theirs.get("hasUsers"))


def _event(seen: Seen, now: datetime) -> Event:
    kind = EventKind.SAVED if _held(seen) else EventKind.REMOVED
    return Event(now, kind, seen.known.pass_type_id, seen.known.pass_id, detail=dict(_FOUND))


def _known(row: Any) -> Known:
    return Known(**{**row._mapping, "kind": Kind(row.kind)})
