"""What devices log about us: capped, with secrets taken out, shown to the operator only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, insert, text
from sqlmodel import Session, col, select

from walletsvc.apple.models import DeviceLog

LINES_PER_CALL: Final = 50
LINES_PER_MINUTE: Final = 600
LINE_LENGTH: Final = 1000

_SERIAL = re.compile(r"(?<![\w-])[0-9a-z]{20}(?![\w-])")
_MOST_SERIALS: Final = 200
_BY_SERIAL = text(
    "SELECT serial, id FROM passes WHERE serial = ANY(:serials)"
    " AND pass_type_id = ANY(ARRAY(SELECT id FROM pass_types WHERE wallet = 'apple'))"
)
_FORGET = text(
    "DELETE FROM device_logs WHERE id = ANY(ARRAY("
    "  SELECT id FROM device_logs WHERE at < :limit LIMIT :count))"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_SECRETS = (
    (re.compile(r"((?:Apple|Android)Pass|Bearer|Basic)\s+\S+", re.IGNORECASE), r"\1 [removed]"),
    (re.compile(r"(authenticationToken\W{1,4})[\w.~+/=-]+", re.IGNORECASE), r"\1[removed]"),
    (re.compile(r"(/[cpg]/)[\w-]{8,}"), r"\1[removed]"),
    (re.compile(r"(/devices/)[^/\s]+"), r"\1[removed]"),
    # Push tokens, device identifiers, authentication tokens: long runs without a gap. Serial
    # numbers (20 characters) stay, they are what the operator searches for.
    (re.compile(r"\b[\w-]{28,}\b"), "[removed]"),
    (re.compile(r"\+\d[\d\s()-]{8,}\d|\b\d{10,16}\b"), "[removed]"),
    (re.compile(r"\b[78][\s(-]{1,3}\d{3}[\d\s()-]{7,}\d"), "[removed]"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "[removed]"),
)


def clean(line: str) -> str:
    """One line without control characters and without anything that opens or identifies."""
    cleaned = _CONTROL.sub(" ", line[: LINE_LENGTH * 4])
    for pattern, replacement in _SECRETS:
        cleaned = pattern.sub(replacement, cleaned)
    return cleaned[:LINE_LENGTH].strip()


def store(session: Session, lines: Sequence[str], *, now: datetime) -> int:
    """Keep up to 50 lines of a call and 600 a minute in all; returns how many were kept.

    A line that names a serial number of ours is kept with its pass.
    """
    recent = session.exec(
        select(func.count())
        .select_from(DeviceLog)
        .where(col(DeviceLog.at) > now - timedelta(minutes=1))
    ).one()
    room = max(0, LINES_PER_MINUTE - recent)
    messages = [clean(line) for line in lines[: min(room, LINES_PER_CALL)]]
    messages = [message for message in messages if message]
    if not messages:
        return 0
    serials = [_SERIAL.findall(message) for message in messages]
    known = _passes(session, {serial for found in serials for serial in found})
    rows: list[dict[str, object]] = [
        {
            "at": now,
            "message": message,
            "pass_id": next((known[serial] for serial in found if serial in known), None),
        }
        for message, found in zip(messages, serials, strict=True)
    ]
    session.execute(insert(DeviceLog).values(rows))
    return len(rows)


def _passes(session: Session, serials: set[str]) -> dict[str, int]:
    """The passes with these serial numbers. Anyone may write here, so it takes one look-up by
    the index, however many passes there are."""
    if not serials:
        return {}
    rows = session.execute(_BY_SERIAL, {"serials": sorted(serials)[:_MOST_SERIALS]})
    return {row.serial: row.id for row in rows}


def forget_before(session: Session, limit: datetime, *, count: int = 10_000) -> int:
    """Delete up to `count` lines older than `limit`; returns how many went."""
    result = session.execute(_FORGET, {"limit": limit, "count": count})
    return int(getattr(result, "rowcount", 0))
