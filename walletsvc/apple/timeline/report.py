"""The timeline of a pass in Apple Wallet."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from walletsvc.apple.diagnosis.rules import diagnose
from walletsvc.apple.timeline import entries, state
from walletsvc.apple.timeline.holders import holders
from walletsvc.apple.timeline.waiting import waiting
from walletsvc.passes.timeline.entries import Place, Span, page
from walletsvc.passes.timeline.report import Report
from walletsvc.passes.timeline.subject import Subject


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
    span = Span(since, now + timedelta(minutes=1), limit)
    source = entries.source(session, subject, known)
    found, older = page(session, subject, source, span, after)
    facts = state.facts(session, subject, known, now=now, recorded_since=now - keep)
    return Report(subject, diagnose(facts), list(waiting(facts)), found, older, since)
