"""What devices log about us: capped, with secrets taken out, shown to the operator only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, insert
from sqlmodel import Session, col, delete, select

from walletsvc.apple.models import DeviceLog

LINES_PER_CALL: Final = 50
LINES_PER_MINUTE: Final = 600
LINE_LENGTH: Final = 1000

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
    text = _CONTROL.sub(" ", line[: LINE_LENGTH * 4])
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text[:LINE_LENGTH].strip()


def store(session: Session, lines: Sequence[str], *, now: datetime) -> int:
    """Keep up to 50 lines of a call and 600 a minute in all; returns how many were kept."""
    recent = session.exec(
        select(func.count())
        .select_from(DeviceLog)
        .where(col(DeviceLog.at) > now - timedelta(minutes=1))
    ).one()
    room = max(0, LINES_PER_MINUTE - recent)
    rows = [{"at": now, "message": clean(line)} for line in lines[: min(room, LINES_PER_CALL)]]
    rows = [row for row in rows if row["message"]]
    if rows:
        session.execute(insert(DeviceLog).values(rows))
    return len(rows)


def forget_before(session: Session, limit: datetime) -> int:
    """Delete lines older than `limit`; returns how many."""
    result = session.execute(delete(DeviceLog).where(col(DeviceLog.at) < limit))
    return int(getattr(result, "rowcount", 0))
