"""The timeline of a pass in Google Wallet."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from walletsvc.google.budget import ALLOWANCE
from walletsvc.google.timeline import entries
from walletsvc.google.timeline.facts import facts as facts_of
from walletsvc.google.timeline.rules import diagnose, waiting
from walletsvc.passes.timeline.entries import Place, Span, page
from walletsvc.passes.timeline.report import Notifications, Report
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
    # What another host's clock calls a moment ahead still belongs here.
    span = Span(since, now + timedelta(minutes=1), limit)
    found, older = page(session, subject, entries.source(session, subject), span, after)
    facts = facts_of(session, subject, now=now, recorded_since=now - keep)
    return Report(
        subject,
        diagnose(facts),
        list(waiting(facts)),
        found,
        older,
        since,
        Notifications(facts.left, ALLOWANCE, facts.next_at),
    )
