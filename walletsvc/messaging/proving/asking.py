"""Asking whoever holds a phone: the code is made and sent, or another way begun."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlmodel import Session

from walletsvc.core.errors import Unavailable
from walletsvc.core.ids import secret_token
from walletsvc.jobs import queue
from walletsvc.messaging.choosing import open_channels
from walletsvc.messaging.kinds import Channel, MessageKind
from walletsvc.messaging.outbox import Recipient, enqueue
from walletsvc.messaging.proving import rules
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose, Route

AWAIT_CALL: Final = "proofs:await_call"  # the job that asks the gateway for a number to ring
_CHANNELS: Final = {
    Route.SMS: Channel.SMS,
    Route.CALL: Channel.CALL,
    Route.MESSENGER: Channel.MESSENGER,
}
# What the message says that the code is for.
_KINDS: Final = {
    ProofPurpose.JOIN: MessageKind.CODE,
    ProofPurpose.LOG_IN: MessageKind.LOG_IN_CODE,
    ProofPurpose.TILL: MessageKind.TILL_CODE,
    ProofPurpose.CLAIM: MessageKind.CLAIM_CODE,
    ProofPurpose.CHANGE_PHONE: MessageKind.PHONE_CODE,
    ProofPurpose.SPEND: MessageKind.SPEND_CODE,
}


def routes(session: Session, organisation_id: int) -> list[Route]:
    """The ways for which the organisation has a gateway."""
    there = open_channels(session, organisation_id)
    return [route for route, channel in _CHANNELS.items() if channel in there]


def ask(
    session: Session,
    row: PhoneProof,
    language: str,
    values: Mapping[str, str] | None,
    now: datetime,
) -> None:
    """Send the phone a code, or find the other way; `values` fill gaps of the wording.

    Without them the phone is not told: the code is one that nobody could type. Raises Unavailable.
    """
    if row.route is Route.MESSENGER:  # the bot is the organisation's own, and tells by itself
        row.reference = secret_token()
        return
    if row.route is not Route.SMS:
        if row.route not in routes(session, row.organisation_id):
            raise Unavailable(f"No gateway is there for the route '{row.route}'.")
        queue.defer(session, AWAIT_CALL, proof=row.public_id)
        return
    code = secret_token() if values is None else rules.new_code()
    row.reference = row.code_hash.hex() if row.code_hash else ""
    row.code_hash = rules.code_hash(row.public_id, code)
    if values is None:
        if row.route not in routes(session, row.organisation_id):
            raise _no_gateway()
        return
    sent = enqueue(
        session,
        organisation_id=row.organisation_id,
        kind=_KINDS[row.purpose],
        to=Recipient(phone=row.phone),
        values={
            **values,
            "code": code,
            "fill_in": rules.fill_in(rules.sending_of(session.info).host, code),
        },
        language=language,
        now=now,
        expires_at=row.expires_at,
    )
    if sent is None:
        raise _no_gateway()


def _no_gateway() -> Unavailable:
    return Unavailable("Codes cannot be sent: no gateway takes messages to phones.")
