"""Whether Google's part of an installation does its work, in words: for `/readyz`."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session

from walletsvc.google import breaker
from walletsvc.google.due import GOOGLE
from walletsvc.google.models import IssuerState
from walletsvc.jobs.signals import listening
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import is_current
from walletsvc.web.health import Findings


def absent_workers(session: Session, settings: Settings) -> list[str]:
    """That nobody is there to send, in words; nothing where Google is not part of it."""
    if not settings.google_issuer_id or GOOGLE in listening(session):
        return []
    return ["Nobody sends to Google: start `walletsvc worker`."]


def examine(database: Database, settings: Settings, found: Findings) -> Findings:
    """What was found, and what there is to say of Google."""
    if not settings.google_issuer_id or not is_current(database):
        return found
    with database.read_tx() as session:
        return Findings(
            [*found.problems, *absent_workers(session, settings)],
            [*found.warnings, *warnings(session)],
        )


def warnings(session: Session) -> Iterator[str]:
    """What keeps cards in Google Wallet from following their balance."""
    for issuer in breaker.status(session):
        if issuer.state is not IssuerState.OPEN:
            since = f"{issuer.since:%Y-%m-%d %H:%M} UTC"
            yield f"Google issuer {issuer.issuer_id}: {issuer.state} since {since}: {issuer.reason}"
    figures = breaker.figures(session)
    if figures.classes:
        yield f"Google does not take {figures.classes} class(es): see `walletsvc google status`."
    if figures.refused:
        yield f"Google does not take {figures.refused} object(s): see `walletsvc google status`."
