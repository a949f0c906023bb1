"""Writing a message down, in the transaction that is its cause; a worker sends it afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session

from walletsvc.jobs.changes import Lane
from walletsvc.messaging import gate, segments, wording
from walletsvc.messaging.choosing import Way, open_gateways
from walletsvc.messaging.kinds import Channel, MessageKind
from walletsvc.messaging.models import Message
from walletsvc.messaging.wording import Words
from walletsvc.storage.engine import signal
from walletsvc.storage.rows import Inserted
from walletsvc.storage.statement import Statement

MESSAGES: Final = "walletsvc_messages"  # the signal, and the channel the senders listen on
_MESSAGES: Final = Inserted(Message)
_SHOP: Final = Statement("SELECT name, phone FROM organisations WHERE id = :organisation")


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

    `values` are those of `kinds.VALUES`; `shop` is the organisation's name unless given,
    `contact` its phone. After `expires_at` it is not sent any more.
    """
    ways = _ways(session, organisation_id, kind, to, person_id)
    if not ways:
        return None
    shop = _SHOP.first(session, {"organisation": organisation_id})
    contact = wording.contact(language, shop.phone)
    given = {"shop": shop.name, "contact": contact, "fill_in": "", **values}
    said = {channel: _said(kind, channel, language, given) for channel in ways}
    words = {channel: each for channel, each in said.items() if each is not None}
    if not words:
        return None
    first = next(iter(words))
    signal(session, MESSAGES)
    return _MESSAGES.one(
        session,
        organisation_id=organisation_id,
        person_id=person_id,
        kind=kind,
        language=language,
        lane=int(lane),
        channels=[channel.value for channel in words],
        recipient=json.dumps(asdict(to)),
        body=json.dumps({channel.value: asdict(each) for channel, each in words.items()}),
        due_at=now,
        expires_at=expires_at,
        created_at=now,
        **_costs(ways[first], first, words[first]),
    )


def estimate(session: Session, message: Message, channel: Channel, words: Words) -> None:
    """Count what the message will cost by a channel, as far as is known before it is sent."""
    ways = open_gateways(session, message.organisation_id, channel)
    message.price = 0
    for name, value in _costs(ways, channel, words).items():
        setattr(message, name, value)


def _said(
    kind: MessageKind, channel: Channel, language: str, values: Mapping[str, str]
) -> Words | None:
    """The words; the line that fills a code in is not worth another SMS."""
    words = wording.render(kind, channel, language, values)
    if words is None or not values["fill_in"]:
        return words
    without = wording.render(kind, channel, language, {**values, "fill_in": ""})
    if without is None or _parts(without) == _parts(words):
        return words
    return without


def _parts(words: Words) -> int:
    return segments.count(words.text).segments


def _costs(ways: Sequence[Way], channel: Channel, words: Words) -> dict[str, Any]:
    """What is known of a message's costs when the first of these gateways carries it."""
    number = segments.count(words.text).segments if channel is Channel.SMS else 0
    if not ways:
        return {"segments": number}
    return {
        "segments": number,
        "price": ways[0].price_of(number),
        "currency": ways[0].currency,
    }


def _ways(
    session: Session, organisation_id: int, kind: MessageKind, to: Recipient, person_id: int | None
) -> dict[Channel, list[Way]]:
    """The gateways of each channel that can and may be used, in the channels' order."""
    found: dict[Channel, list[Way]] = {}
    for channel in kind.channels:
        if to.address(channel) is None:
            continue
        ways = open_gateways(session, organisation_id, channel)
        if ways and gate.allowed(
            session, person_id=person_id, category=kind.category, channel=channel, phone=to.phone
        ):
            found[channel] = ways
    return found
