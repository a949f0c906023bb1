"""Ways to prove a phone without a code, where SMS are blocked: ringing us, or sharing the contact
in a messenger. Gateways and bots tell what happened; nobody else calls these."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from walletsvc.jobs.events import CallReceived
from walletsvc.messaging.proving import rules
from walletsvc.messaging.proving.models import PhoneProof, Route


def without_number(session: Session, proof: str, now: datetime) -> PhoneProof | None:
    """The proof, if it waits for a call and nobody knows yet to which number."""
    return session.exec(_numberless(proof).where(PhoneProof.expires_at > now)).first()


def ring_to(
    session: Session, proof: str, *, call_to: str, external_id: str, expires_at: datetime
) -> None:
    """The gateway named the number to ring and how long it waits for the call."""
    row = session.exec(_numberless(proof).with_for_update()).first()
    if row is not None:
        row.reference = rules.call_reference(call_to, external_id)
        row.expires_at = min(row.expires_at, expires_at)


def give_up(session: Session, proof: str, now: datetime) -> None:
    """No gateway can await the call: the proof ends."""
    row = session.exec(_numberless(proof).with_for_update()).first()
    if row is not None:
        row.expires_at = min(row.expires_at, now)


def _numberless(proof: str) -> SelectOfScalar[PhoneProof]:
    return select(PhoneProof).where(
        PhoneProof.public_id == proof,
        PhoneProof.route == Route.CALL,
        PhoneProof.reference == "",
        col(PhoneProof.proven_at).is_(None),
    )


def call_received(session: Session, event: CallReceived) -> None:
    """A phone rang: it is proven for whoever waits for that.

    The gateway's id says which proof is meant. Without one, it is the newest. When several ask at
    once and what is told fits them alike, it is none: somebody may be waiting for another's call.
    Some gateways tell the id alone.
    """
    if not (event.phone or event.external_id):
        return
    waiting = _waiting(session, Route.CALL, event.phone, event.organisation_id, event.at)
    named = [
        row
        for row in waiting
        if event.external_id and rules.call_parts(row.reference)[1] == event.external_id
    ]
    meant = named or (waiting if event.phone else [])
    if len({row.subject for row in meant}) == 1:
        meant[0].proven_at = event.at


def contact_shared(
    session: Session, *, organisation_id: int, token: str, phone: str, now: datetime
) -> bool:
    """Somebody opened the bot with this token and shared the contact of this phone (E.164), which
    the messenger vouches for; whether that proved anything."""
    if not phone:
        return False
    for row in _waiting(session, Route.MESSENGER, phone, organisation_id, now):
        if row.reference == token:
            row.proven_at = now
            return True
    return False


def _waiting(
    session: Session, route: Route, phone: str, organisation_id: int | None, at: datetime
) -> list[PhoneProof]:
    """What of this phone is waited for at that moment, newest first, locked."""
    statement = select(PhoneProof).where(
        PhoneProof.route == route,
        col(PhoneProof.proven_at).is_(None),
        PhoneProof.created_at <= at,
        PhoneProof.created_at > at - rules.KEPT_ALIVE,
        PhoneProof.expires_at > at,
    )
    if phone:
        statement = statement.where(PhoneProof.phone == phone)
    if organisation_id is not None:
        statement = statement.where(PhoneProof.organisation_id == organisation_id)
    return list(
        session.exec(
            statement.order_by(col(PhoneProof.id).desc())
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )
