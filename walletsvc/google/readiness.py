"""Whether Google's part of an installation does its work, in words: for `/readyz`, which is asked
every few seconds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.clock import Clock
from walletsvc.google import breaker, census
from walletsvc.google.due import GOOGLE
from walletsvc.google.models import IssuerState
from walletsvc.jobs.signals import listening
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import is_current
from walletsvc.web.health import Findings

LATE_SECONDS: Final = 300.0

# What is due in the urgent lane leaves at once; an answer that is awaited is not late.
_OLDEST: Final = text(
    "SELECT min(due_at) FROM google_objects WHERE lane = 0 AND due_at IS NOT NULL"
)
_CLASSES: Final = text(
    "SELECT count(*) FILTER (WHERE error <> '') AS refused,"
    "   count(*) FILTER (WHERE lower(review_status) IN ('rejected', 'draft')) AS unusable"
    " FROM google_classes"
)


def absent_workers(session: Session, settings: Settings) -> list[str]:
    """That nobody is there to send, in words; nothing where Google is not part of it."""
    if not settings.google_issuer_id or GOOGLE in listening(session):
        return []
    return ["Nobody sends to Google: start `walletsvc worker`."]


def examine(database: Database, settings: Settings, clock: Clock, found: Findings) -> Findings:
    """What was found, and what there is to say of Google."""
    if not settings.google_issuer_id or not is_current(database):
        return found
    with database.read_tx() as session:
        return Findings(
            [*found.problems, *absent_workers(session, settings)],
            [*found.warnings, *warnings(session, clock())],
        )


def warnings(session: Session, now: datetime) -> Iterator[str]:
    """What keeps cards in Google Wallet from following their balance."""
    shut = [each for each in breaker.status(session) if each.state is not IssuerState.OPEN]
    for issuer in shut:
        since = f"{issuer.since:%Y-%m-%d %H:%M} UTC"
        yield f"Google issuer {issuer.issuer_id}: {issuer.state} since {since}: {issuer.reason}"
    oldest = session.execute(_OLDEST).scalar()
    late = (now - oldest).total_seconds() if oldest else 0.0
    if late > LATE_SECONDS and not shut:
        yield f"Google was not given a change for {late:.0f} s: see `walletsvc doctor google`."
    classes = session.execute(_CLASSES).one()
    if classes.refused:
        yield f"Google does not take {classes.refused} class(es): see `walletsvc doctor google`."
    if classes.unusable:
        yield (
            f"Google's reviewer has not let {classes.unusable} class(es) pass: see"
            " `walletsvc doctor google`."
        )
    if census.is_small(session) and (refused := breaker.figures(session).refused):
        yield f"Google does not take {refused} object(s): see `walletsvc google status`."
