"""Applications as they are kept: found, held, over."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, select

from walletsvc.core.actor import Actor
from walletsvc.core.errors import NotFound
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.enrolment.models import Application, ApplicationState


def subject(row: Application) -> str:
    """What binds a proof to its application."""
    return f"application:{row.public_id}"


def customer(row: Application) -> Actor:
    """Who acts when nobody else does: whoever sent the form in."""
    return Actor("customer", row.public_id)


def found(session: Session, application: str) -> Application:
    """The application with this public id; raises NotFound."""
    row = None
    if PUBLIC_ID.fullmatch(application):
        row = session.exec(select(Application).where(Application.public_id == application)).first()
    if row is None:
        raise NotFound("There is no such application: fill in the form again.")
    return row


def locked(session: Session, application: str) -> Application:
    """The same, as it is while nobody else can change it; raises NotFound."""
    row = found(session, application)
    return session.get_one(Application, row.id, with_for_update=True, populate_existing=True)


def is_over(row: Application, now: datetime) -> bool:
    """Whether nothing can come of it any more."""
    return row.state is not ApplicationState.WAITING or row.expires_at <= now
