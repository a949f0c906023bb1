"""Gateways as the operator sees them: added, listed, closed; and messages looked up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from walletsvc.core.errors import NotFound
from walletsvc.merchants.rules import check_text
from walletsvc.messaging.gateways import check_config, known
from walletsvc.messaging.models import Gateway, Message, MessageState


def add_gateway(
    session: Session,
    *,
    kind: str,
    values: dict[str, Any],
    label: str = "",
    organisation_id: int | None = None,
    position: int = 0,
    now: datetime,
) -> Gateway:
    """A new gateway, for one organisation or for all; raises InputError naming the field."""
    config = check_config(kind, values)
    adapter = known()[kind]
    gateway = Gateway(
        organisation_id=organisation_id,
        channel=adapter.channel,
        kind=kind,
        label=check_text("label", label or adapter.label, 120),
        config=config,
        position=position,
        created_at=now,
    )
    session.add(gateway)
    session.flush()
    return gateway


def list_gateways(session: Session) -> Sequence[Gateway]:
    """Those that are not closed, by channel and in their order."""
    wanted = select(Gateway).where(col(Gateway.closed_at).is_(None))
    order = (col(Gateway.channel), col(Gateway.position), col(Gateway.id))
    return session.exec(wanted.order_by(*order)).all()


def find_gateway(session: Session, public_id: str) -> Gateway:
    """The open gateway with this public id; raises NotFound."""
    found = session.exec(
        select(Gateway).where(Gateway.public_id == public_id, col(Gateway.closed_at).is_(None))
    ).first()
    if found is None:
        raise NotFound(f"There is no gateway {public_id}.")
    return found


def close_gateway(session: Session, public_id: str, now: datetime) -> Gateway:
    """Send nothing through it any more; what it sent is kept, and its news are still heard."""
    gateway = find_gateway(session, public_id)
    gateway.closed_at = now
    session.flush()
    return gateway


def list_messages(
    session: Session, *, state: MessageState | None = None, count: int = 20
) -> Sequence[Message]:
    """The newest messages, in one state or any."""
    wanted = select(Message).order_by(col(Message.id).desc()).limit(count)
    return session.exec(wanted.where(Message.state == state) if state else wanted).all()


def forget_person(session: Session, person_id: int, now: datetime) -> int:
    """Erase whom messages of a person went to and what they said, and send no more of them; how
    many there were. That they were sent, and what they cost, stays."""
    found = session.exec(select(Message).where(Message.person_id == person_id).with_for_update())
    messages = found.all()
    for message in messages:
        message.recipient, message.body, message.due_at = "{}", None, None
        if message.state in (MessageState.QUEUED, MessageState.SENDING):
            message.state, message.final_at = MessageState.REFUSED, now
            message.error = "The person was erased."
    session.flush()
    return len(messages)


def find_message(session: Session, public_id: str) -> Message:
    """The message with this public id; raises NotFound."""
    found = session.exec(select(Message).where(Message.public_id == public_id)).first()
    if found is None:
        raise NotFound(f"There is no message {public_id}.")
    return found
