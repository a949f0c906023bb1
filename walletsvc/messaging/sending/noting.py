"""What became of a message, noted in the row: the only place where its state moves."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlmodel import Session, select

from walletsvc.jobs import counters
from walletsvc.jobs.counters import series
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.models import FINAL, Gateway, Message, MessageState
from walletsvc.messaging.outbox import estimate
from walletsvc.messaging.protocol import Fate, Fault, GatewayError, Sent, Status
from walletsvc.messaging.sending import rules
from walletsvc.messaging.wording import Words

log = structlog.get_logger(__name__)

_CAME: Final = {
    Fault.LATER: "later",
    Fault.UNKNOWN: rules.UNKNOWN,
    Fault.REFUSED: rules.REFUSED,
    Fault.CONFIGURATION: "stopped",
}


def started(message: Message, gateway: Gateway, now: datetime) -> None:
    """A try begins: counted before it is made, so that one that is never heard of again counts."""
    message.state = MessageState.SENDING
    message.gateway_id = gateway.id
    message.attempts += 1
    _add(message, now, rules.STARTED, gateway=gateway.id, kind=gateway.kind)


def handed_over(
    session: Session, message: Message, gateway: Gateway, sent: Sent, now: datetime, *, news: bool
) -> None:
    """The gateway has it; `news`: its delivery will be told, or can be asked for."""
    _amend(message, "sent")
    message.state, message.sent_at, message.error = MessageState.SENT, now, ""
    message.external_id = sent.external_id[:120]
    message.price = message.price if sent.price is None else sent.price
    message.segments = message.segments if sent.segments is None else sent.segments
    message.due_at = now + rules.FIRST_ASKING if news and sent.external_id else None
    gateway.failures, gateway.stopped_reason, gateway.retry_at = 0, "", None
    if message.step + 1 == len(message.channels):
        _forget_secret(message)  # there is no other channel it could be needed for
    _count(session, message)
    cost = series("message_cost", channel=channel_of(message), currency=message.currency)
    counters.add(session, {cost: message.price})


def not_handed_over(
    session: Session,
    message: Message,
    gateway: Gateway,
    error: GatewayError,
    now: datetime,
    rng: random.Random,
) -> None:
    """The gateway does not have it, or did not say so: it is tried again, here or elsewhere."""
    _amend(message, _CAME[error.fault])
    message.state, message.error = MessageState.QUEUED, error.detail[:300]
    message.due_at = now
    if error.fault in (Fault.LATER, Fault.UNKNOWN):
        delay = rules.backoff(message.attempts, rng).total_seconds()
        # A repetition is known as one only soon afterwards.
        wait = delay if error.fault is Fault.UNKNOWN else max(delay, error.wait)
        message.due_at = now + timedelta(seconds=wait)
    if error.fault is Fault.CONFIGURATION:
        message.attempts -= 1  # it is not the message's fault
        stop(gateway, error.detail, now)
    tried = series("message_failures", gateway=gateway.kind, fault=error.fault.value)
    counters.add(session, {tried: 1})


def not_known(session: Session, message: Message, now: datetime) -> None:
    """It may have been sent, and to try once more could send it twice: it is left at that."""
    message.state, message.sent_at, message.due_at = MessageState.SENT, now, None
    message.error = "The gateway did not say whether it has it."
    if message.step + 1 == len(message.channels):
        _forget_secret(message)
    _count(session, message)


def told(session: Session, gateway_id: int, status: Status, now: datetime) -> bool:
    """News of a delivery; False when no message is known by that id, or is not yet."""
    message = session.exec(
        select(Message)
        .where(Message.gateway_id == gateway_id, Message.external_id == status.external_id)
        .with_for_update()
    ).first()
    if message is None:
        return False
    if message.state is MessageState.SENT:
        asked(session, message, status, now)
    return True


def asked(session: Session, message: Message, status: Status, now: datetime) -> None:
    """What is known of the delivery at this moment; the next channel when it failed or is late."""
    if status.fate is Fate.DELIVERED:
        _amend(message, "delivered")
        finish(session, message, MessageState.DELIVERED, now)
        return
    if status.fate is Fate.FAILED:
        _amend(message, "undelivered")
        next_channel(session, message, status.reason or "It was not delivered.", now)
        return
    waited = now - (message.sent_at or now)
    patience = message.kind.patience
    more = message.step + 1 < len(message.channels)
    if more and patience is not None and waited >= patience:
        _amend(message, "late")
        next_channel(session, message, "No news of its delivery came.", now)
        return
    after = rules.next_asking(waited)
    if more and patience is not None:
        after = min(after, patience - waited)
    message.due_at = now + after if waited < rules.LAST_ASKING else None


def next_channel(session: Session, message: Message, reason: str, now: datetime) -> None:
    """This channel did not bring it: the next one has to, or none is left."""
    message.error = reason[:300]
    message.spent += message.price if message.sent_at is not None else 0
    message.price = 0
    if message.step + 1 == len(message.channels):
        finish(session, message, MessageState.FAILED, now)
        return
    message.step += 1
    message.attempts, message.external_id, message.sent_at = 0, "", None
    message.state, message.due_at, message.gateway_id = MessageState.QUEUED, now, None
    channel = channel_of(message)
    estimate(session, message, channel, words_of(message))


def finish(session: Session, message: Message, state: MessageState, now: datetime) -> None:
    """There is nothing more to do with it."""
    assert state in FINAL  # noqa: S101 - for the reader
    message.state, message.final_at, message.due_at = state, now, None
    if state is not MessageState.DELIVERED and message.sent_at is None:
        message.price = 0
    _forget_secret(message)
    _count(session, message)


def channel_of(message: Message) -> Channel:
    """The channel it is at."""
    return Channel(message.channels[message.step])


def words_of(message: Message) -> Words:
    """Its words for the channel it is at."""
    body = json.loads(message.body or "{}")
    return Words(**body[channel_of(message).value])


def stop(gateway: Gateway, reason: str, now: datetime) -> None:
    """Leave a gateway alone for a while, longer each time; said once in the log."""
    first = not gateway.stopped_reason
    gateway.failures += 1
    gateway.stopped_reason = reason[:300]
    gateway.retry_at = now + rules.stop_time(gateway.failures)
    if first:
        log.error(
            "a message gateway is out of use",
            gateway=gateway.public_id,
            label=gateway.label,
            reason=reason,
        )


def _forget_secret(message: Message) -> None:
    if message.kind.secret:
        message.body = None


def _count(session: Session, message: Message) -> None:
    labels = {"kind": message.kind.value, "channel": channel_of(message).value}
    counters.add(session, {series("messages", state=message.state.value, **labels): 1})


def _add(message: Message, now: datetime, came: str, **more: Any) -> None:
    entry = {"at": now.isoformat(), "step": message.step, "came": came, **more}
    message.history = [*message.history, entry]


def _amend(message: Message, came: str) -> None:
    """What the try that began last came to."""
    if message.history:
        message.history = [*message.history[:-1], {**message.history[-1], "came": came}]
