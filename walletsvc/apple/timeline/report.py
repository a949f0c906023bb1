"""A timeline as a whole: what happened, how things stand, and what that means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from walletsvc.apple.diagnosis.facts import Facts, Finding
from walletsvc.apple.diagnosis.rules import diagnose
from walletsvc.apple.timeline import entries, state
from walletsvc.apple.timeline.entries import Entry, Place
from walletsvc.apple.timeline.holders import holders
from walletsvc.apple.timeline.subject import Subject


@dataclass(frozen=True)
class Report:
    """`entries` are oldest first; `older` is where to go on from, None at the end. The first
    of the `findings` is the verdict."""

    subject: Subject
    facts: Facts
    findings: Sequence[Finding]
    entries: Sequence[Entry]
    older: Place | None
    since: datetime

    @property
    def verdict(self) -> Finding:
        """The most likely reason."""
        return self.findings[0]


def read(
    session: Session,
    subject: Subject,
    *,
    now: datetime,
    keep: timedelta,
    since: datetime,
    limit: int,
    after: Place | None = None,
) -> Report:
    """The story of a pass since a moment, at most `limit` entries, the newest first served.

    `keep` is how long the installation keeps timelines. Reads only.
    """
    known = holders(session, subject.pass_.id)
    # What a buffered event or another host's clock calls a moment ahead still belongs here.
    until = now + timedelta(minutes=1)
    found, older = entries.page(
        session, subject, known, since=since, until=until, limit=limit, after=after
    )
    facts = state.facts(session, subject, known, now=now, recorded_since=now - keep)
    return Report(subject, facts, diagnose(facts), found, older, since)
