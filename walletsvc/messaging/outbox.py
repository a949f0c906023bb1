"""Writing a message down, in the transaction that is its cause; a worker sends it afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session

from walletsvc.jobs.changes import Lane
from walletsvc.merchants.models import Organisation
from walletsvc.messaging import gate, segments, wording
from walletsvc.messaging.choosing import open_gateways
from walletsvc.messaging.kinds import Channel, MessageKind
from walletsvc.messaging.models import Message
from walletsvc.messaging.wording import Words
from walletsvc.storage.engine import signal

MESSAGES: Final = "walletsvc_messages"  # the signal, and the channel the senders listen on


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where somebody can be reached: a phone in E.164, an e-mail address, or both."""

    phone: str | None = None
    email: str | None = None

    def address(self, channel: Channel) -> str | None:
        """Where they are reached by this channel."""
        return self.email if channel is Channel.EMAIL else self.phone


def enqueue(
    session: Session,
    *,
    organisation_id: int,
    kind: MessageKind,
    to: Recipient,
    values: Mapping[str, str],
    language: str,
    now: datetime,
    person_id: int | None = None,
    expires_at: datetime | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> Message | None:
    """Write a message down; it leaves after the commit. None when nobody may or can be told: no
    consent for advertising, no address, no gateway.

    `values` are those of `kinds.VALUES`; `shop` is the organisation's name unless given. After
    `expires_at` it is not sent any more.
    """
    shop = session.get_one(Organisation, organisation_id).name
    given = {"shop": shop, "fill_in": "", **values}
    words = _words(session, organisation_id, kind, to, given, language, person_id)
    if not words:
        return None
    channels = list(words)
    message = Message(
        organisation_id=organisation_id,
        person_id=person_id,
        kind=kind,
        language=language,
        lane=int(lane),
        channels=[channel.value for channel in channels],
        recipient=json.dumps(asdict(to)),
        body=json.dumps({channel.value: asdict(words[channel]) for channel in channels}),
        due_at=now,
        expires_at=expires_at,
        created_at=now,
    )
    estimate(session, message, channels[0], words[channels[0]])
    session.add(message)
    session.flush()
    signal(session, MESSAGES)
    return message


def estimate(session: Session, message: Message, channel: Channel, words: Words) -> None:
    """Count what the message will cost by a channel, as far as is known before it is sent."""
    message.segments = segments.count(words.text).segments if channel is Channel.SMS else 0
    ways = open_gateways(session, message.organisation_id, channel)
    message.price = ways[0].price_of(message.segments) if ways else 0
    if ways:
        message.currency = ways[0].currency


def _words(
    session: Session,
    organisation_id: int,
    kind: MessageKind,
    to: Recipient,
    values: Mapping[str, str],
    language: str,
    person_id: int | None,
) -> dict[Channel, Words]:
    """The words for each channel that can and may be used, in their order."""
    found: dict[Channel, Words] = {}
    for channel in kind.channels:
        if to.address(channel) is None or not open_gateways(session, organisation_id, channel):
            continue
        if not gate.allowed(session, person_id=person_id, category=kind.category, channel=channel):
            continue
        words = wording.render(kind, channel, language, values)
        if words is not None:
            found[channel] = words
    return found
