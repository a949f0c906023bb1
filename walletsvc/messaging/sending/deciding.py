"""What to do with a message that was claimed: hand it over, ask for news, or nothing any more."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from walletsvc.core.errors import ConfigurationError
from walletsvc.messaging import gate
from walletsvc.messaging.choosing import open_gateways
from walletsvc.messaging.gateways import adapter_of
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.models import Gateway, Message, MessageState
from walletsvc.messaging.outbox import Recipient
from walletsvc.messaging.protocol import (
    EmailGateway,
    Fate,
    Outgoing,
    SmsGateway,
    Status,
)
from walletsvc.messaging.sending import noting, rules

Carrier = SmsGateway | EmailGateway


@dataclass(frozen=True, slots=True)
class Try:
    """To be handed over, outside of any transaction; `number` tells this try from the others."""

    message_id: int
    gateway_id: int
    number: int
    adapter: Carrier
    outgoing: Outgoing


@dataclass(frozen=True, slots=True)
class Asking:
    """To be asked for news of its delivery."""

    message_id: int
    adapter: SmsGateway
    external_id: str
    phone: str


class Decider:
    """Decides inside the transaction of the claim."""

    def __init__(self, base_url: str) -> None:
        """`base_url`: where gateways send their news; empty where they cannot."""
        self._base_url = base_url

    def decide(self, session: Session, message: Message, now: datetime) -> Try | Asking | None:
        """What is to be done outside; None when the row says all already."""
        if message.state is MessageState.SENT:
            return self._news(session, message, now)
        if message.expires_at is not None and message.expires_at <= now:
            noting.finish(session, message, MessageState.EXPIRED, now)
            return None
        channel = noting.channel_of(message)
        category = message.kind.category
        if not gate.allowed(
            session,
            person_id=message.person_id,
            category=category,
            channel=channel,
            phone=Recipient(**json.loads(message.recipient)).phone,
        ):
            message.error = f"There is no consent to {category} by {channel} any more."
            noting.finish(session, message, MessageState.REFUSED, now)
            return None
        doubts = rules.uncertain(message.history, message.step)
        gateway = self._choose(session, message, now, doubts)
        return None if gateway is None else self._begin(session, message, gateway, now, doubts)

    def _begin(
        self, session: Session, message: Message, gateway: Gateway, now: datetime, doubts: int
    ) -> Try | None:
        try:
            adapter = _carrier(gateway)
        except ConfigurationError as error:
            noting.stop(gateway, error.detail, now)
            message.due_at = now
            return None
        if doubts >= rules.MOST_UNKNOWN and not adapter.repeats_safely:
            noting.not_known(session, message, now)
            return None
        noting.started(message, gateway, now)
        words, to = noting.words_of(message), self._address(message)
        outgoing = Outgoing(
            message_id=message.public_id,
            to=to,
            text=words.text,
            at=now,
            subject=words.subject,
            status_url=self._status_url(gateway),
            again=doubts > 0,
        )
        return Try(message.id, gateway.id, message.attempts, adapter, outgoing)

    def _choose(
        self, session: Session, message: Message, now: datetime, doubts: int
    ) -> Gateway | None:
        """The gateway of the next try; without one the message waits, or goes on to the next
        channel."""
        ways = open_gateways(session, message.organisation_id, noting.channel_of(message))
        gateways = {way.gateway.id: way.gateway for way in ways}
        fit = rules.preferred(list(gateways), message.history, message.step)
        if doubts and message.gateway_id in gateways:
            fit = [message.gateway_id]  # another one could only send it a second time
        if not fit or message.attempts >= rules.MOST_TRIES:
            reason = message.error or "There is no gateway for it."
            noting.next_channel(session, message, reason, now)
            return None
        for id_ in fit:
            if _at_work(gateways[id_], now):
                return gateways[id_]
        if self._other_channel(session, message, now):
            noting.next_channel(session, message, "Its gateways are out of use.", now)
            return None
        message.state = MessageState.QUEUED
        message.due_at = min(gateways[id_].retry_at or now for id_ in fit)
        return None

    def _other_channel(self, session: Session, message: Message, now: datetime) -> bool:
        later = message.channels[message.step + 1 :]
        return any(
            _at_work(way.gateway, now)
            for channel in later
            for way in open_gateways(session, message.organisation_id, Channel(channel))
        )

    def _news(self, session: Session, message: Message, now: datetime) -> Asking | None:
        gateway = session.get(Gateway, message.gateway_id)
        try:
            adapter = adapter_of(gateway) if gateway is not None else None
        except ConfigurationError:
            adapter = None
        if not isinstance(adapter, SmsGateway) or not message.external_id:
            noting.asked(session, message, Status(message.external_id, Fate.UNDER_WAY), now)
            return None
        return Asking(message.id, adapter, message.external_id, self._address(message))

    def _address(self, message: Message) -> str:
        to = Recipient(**json.loads(message.recipient)).address(noting.channel_of(message))
        assert to is not None  # noqa: S101 - channels without an address are never written down
        return to

    def _status_url(self, gateway: Gateway) -> str:
        if not self._base_url:
            return ""
        return f"{self._base_url}/hooks/messages/{gateway.public_id}/{gateway.hook_secret}/status"


def _carrier(gateway: Gateway) -> Carrier:
    adapter = adapter_of(gateway)
    if not isinstance(adapter, Carrier):
        raise ConfigurationError(f"Gateways of the kind {gateway.kind} send nothing.")
    return adapter


def _at_work(gateway: Gateway, now: datetime) -> bool:
    return gateway.retry_at is None or gateway.retry_at <= now
