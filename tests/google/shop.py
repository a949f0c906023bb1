"""The shop of `tests/passes`, its cards in Google Wallet too."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlmodel import Session

from tests.passes.shop import DIALECTS
from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate
from walletsvc.google.dialect import GoogleDialect
from walletsvc.google.issuer import ensure_object
from walletsvc.google.wanted import House, WantedObject, objects
from walletsvc.jobs.changes import Lane
from walletsvc.passes.models import Pass
from walletsvc.passes.publish import Publisher
from walletsvc.passes.service import ensure_pass, find_by_link

HOUSE: Final = House("3388000000022000000", "https://cards.example", "ru")
GOOGLE: Final = GoogleDialect(HOUSE)
PUBLISHER: Final = Publisher([*DIALECTS, GOOGLE])


def google_pass(session: Session, holder: Card | Certificate, now: datetime) -> Pass:
    """The holder's Google pass, with its object's row, published as it is now."""
    subject = find_by_link(session, holder.link_token)
    assert subject is not None
    made = ensure_pass(session, subject, GOOGLE, now)
    ensure_object(session, made, now)
    PUBLISHER.publish(session, [made.id], lane=Lane.INTERACTIVE, now=now)
    session.refresh(made)
    return made


def wanted(session: Session, holder: Card | Certificate, now: datetime) -> WantedObject:
    """What Google should have of the holder's card."""
    made = google_pass(session, holder, now)
    return objects(session, [made.id], HOUSE)[made.id]
