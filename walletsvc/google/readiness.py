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
from walletsvc.google.issuer import OUR_CLASSES, names_of_former
from walletsvc.google.models import IssuerState
from walletsvc.jobs.signals import listening
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import is_current
from walletsvc.web.health import Findings

LATE_SECONDS: Final = 300.0

# What is due in the urgent lane leaves at once; an answer that is awaited is not late.
_OLDEST: Final = text(
    "SELECT due_at FROM google_objects WHERE lane = 0 AND due_at IS NOT NULL"  # noqa: S608
    f"  AND google_class_id IN ({OUR_CLASSES}) ORDER BY due_at LIMIT 1"
)
_CLASSES: Final = text(
    "SELECT count(*) FILTER (WHERE error <> '') AS refused,"  # noqa: S608 - words of ours
    "   count(*) FILTER (WHERE lower(review_status) IN ('rejected', 'draft')) AS unusable"
    f" FROM google_classes WHERE id IN ({OUR_CLASSES})"
)


def absent_workers(session: Session, settings: Settings) -> list[str]:
    """That nobody is there to send, in words; nothing where Google is not part of it."""
    if not settings.google_issuer_id or GOOGLE in listening(session):
        return []
    return ["Nobody sends to Google: start `walletsvc worker`."]


def examine(database: Database, settings: Settings, clock: Clock, found: Findings) -> Findings:
    """What was found, and what there is to say of Google."""
    if not is_current(database):
        return found
    with database.read_tx() as session:
        if not settings.google_issuer_id:
            return Findings(found.problems, [*found.warnings, *_left_behind(session, "")])
        return Findings(
            [*found.problems, *absent_workers(session, settings)],
            [*found.warnings, *warnings(session, settings.google_issuer_id, clock())],
        )


def warnings(session: Session, issuer_id: str, now: datetime) -> Iterator[str]:
    """What keeps cards in Google Wallet from following their balance."""
    issuer = breaker.status_of(session, issuer_id)
    shut = issuer is not None and issuer.state is not IssuerState.OPEN
    if issuer is not None and shut:
        since = f"{issuer.since:%Y-%m-%d %H:%M} UTC"
        yield f"Google issuer {issuer_id}: {issuer.state} since {since}: {issuer.reason}"
    values = {"issuer_id": issuer_id}
    oldest = session.execute(_OLDEST, values).scalar()
    late = (now - oldest).total_seconds() if oldest else 0.0
    if late > LATE_SECONDS and not shut:
        yield f"Google was not given a change for {late:.0f} s: see `walletsvc doctor google`."
    classes = session.execute(_CLASSES, values).one()
    if classes.refused:
        yield f"Google does not take {classes.refused} class(es): see `walletsvc doctor google`."
    if classes.unusable:
        yield (
            f"Google's reviewer has not let {classes.unusable} class(es) pass: see"
            " `walletsvc doctor google`."
        )
    if census.is_small(session) and (refused := breaker.figures(session, issuer_id).refused):
        yield f"Google does not take {refused} object(s): see `walletsvc google status`."
    yield from _left_behind(session, issuer_id)


def _left_behind(session: Session, issuer_id: str) -> Iterator[str]:
    for former in names_of_former(session, issuer_id):
        yield (
            f"Cards under the Google issuer {former} are not brought up to date: see"
            " `walletsvc doctor google`."
        )
