"""How often something may be tried, counted in the database: the limit holds for all processes.

A try is counted in a transaction of its own *before* it is made, so that many at once cannot
all pass an old count, and what fails and rolls back stays counted. What went well is given back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import text
from sqlmodel import Field, Session, SQLModel

from walletsvc.core.errors import TooManyTries
from walletsvc.storage.columns import moment
from walletsvc.storage.engine import Database
from walletsvc.storage.statement import Statement


class LimitCounter(SQLModel, table=True):
    """Tries of one subject under one limit in one window of time."""

    __tablename__ = "limit_counters"

    name: str = Field(primary_key=True, max_length=40)
    subject: str = Field(primary_key=True, max_length=120)
    window_start: datetime = moment(primary_key=True)
    tries: int = Field(default=0)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` tries of each subject in a window. The windows are fixed in time."""

    name: str
    most: int
    window: timedelta

    def start(self, now: datetime) -> datetime:
        """When the window began that `now` lies in."""
        seconds = int(self.window.total_seconds())
        return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, now.tzinfo)


_GIVE_BACK = text("""
UPDATE limit_counters SET tries = GREATEST(tries - 1, 0)
 WHERE name = :name AND subject = :subject AND window_start = :start
""")
_FORGET = text("DELETE FROM limit_counters WHERE window_start < :before")


def take(database: Database, wanted: Sequence[tuple[Limit, str]], now: datetime) -> None:
    """Count one try of each subject; raises TooManyTries, with the seconds to wait, when one of
    them has had its share. Pass the same list to `give_back` when the try went well.

    Subjects must not be secrets or phones: use ids or hashes.
    """
    with database.write_tx() as session:
        count(session, wanted, now)


def count(session: Session, wanted: Sequence[tuple[Limit, str]], now: datetime) -> None:
    """The same in the caller's transaction: for what is limited by how often it succeeds, or
    commits also when it fails. No pair may come twice."""
    # In one order, so that two who count the same wait for each other and do not deadlock.
    pairs = sorted(wanted, key=lambda pair: (pair[0].name, pair[1]))
    values: dict[str, Any] = {}
    for number, (limit, subject) in enumerate(pairs):
        values[f"name_{number}"], values[f"subject_{number}"] = limit.name, subject
        values[f"start_{number}"] = limit.start(now)
    rows = _count(len(pairs)).all(session, values) if pairs else []
    tries = {(row.name, row.subject): row.tries for row in rows}
    for limit, subject in pairs:
        if tries[limit.name, subject] > limit.most:
            wait = (limit.start(now) + limit.window - now).total_seconds()
            raise TooManyTries("Too many tries; please wait.", retry_after=max(int(wait), 1))


@cache
def _count(number: int) -> Statement:
    """The statement that counts so many at once."""
    rows = ", ".join(f"(:name_{each}, :subject_{each}, :start_{each}, 1)" for each in range(number))
    return Statement(
        f"INSERT INTO limit_counters AS c (name, subject, window_start, tries) VALUES {rows}"  # noqa: S608
        " ON CONFLICT (name, subject, window_start) DO UPDATE SET tries = c.tries + 1"
        " RETURNING name, subject, tries"
    )


def give_back(database: Database, wanted: Sequence[tuple[Limit, str]], now: datetime) -> None:
    """The try went well and does not count."""
    if not wanted:
        return
    with database.write_tx() as session:
        uncount(session, wanted, now)


def uncount(session: Session, wanted: Sequence[tuple[Limit, str]], now: datetime) -> None:
    """The same in the caller's transaction, which may have counted the try itself."""
    for limit, subject in sorted(wanted, key=lambda pair: (pair[0].name, pair[1])):
        values = {"name": limit.name, "subject": subject, "start": limit.start(now)}
        session.execute(_GIVE_BACK, values)


def forget(session: Session, before: datetime) -> None:
    """Delete windows that nobody counts in any more."""
    session.execute(_FORGET, {"before": before})
