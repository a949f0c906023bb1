"""Applications as they are kept: found, held, over."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.errors import NotFound
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.enrolment.models import Application, ApplicationState
from walletsvc.storage.rows import Read

_FOUND: Final = Read(Application, "WHERE public_id = :application")
_LOCKED: Final = Read(Application, "WHERE public_id = :application FOR UPDATE")


def subject(row: Application) -> str:
    """What binds a proof to its application."""
    return f"application:{row.public_id}"


def customer(row: Application) -> Actor:
    """Who acts when nobody else does: whoever sent the form in."""
    return Actor("customer", row.public_id)


def found(session: Session, application: str) -> Application:
    """The application with this public id; raises NotFound."""
    return _the(_FOUND, session, application)


def locked(session: Session, application: str) -> Application:
    """The same, as it is while nobody else can change it; raises NotFound."""
    return _the(_LOCKED, session, application)


def _the(read: Read[Application], session: Session, application: str) -> Application:
    row = None
    if PUBLIC_ID.fullmatch(application):
        row = read.first(session, application=application)
    if row is None:
        raise NotFound("There is no such application: fill in the form again.")
    return row


def is_over(row: Application, now: datetime) -> bool:
    """Whether nothing can come of it any more."""
    return row.state is not ApplicationState.WAITING or row.expires_at <= now
