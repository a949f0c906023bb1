"""A push and what became of it: the words that client, rules and sender share."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from typing import Final, NamedTuple

_NAMESPACE: Final = uuid.UUID("5f0c1d52-6f0e-4c43-9a31-2f6b1f1d7c9e")


class PushRequest(NamedTuple):
    """One push. `key` stays the same when it is tried again; `token` is the device's."""

    key: int
    token: str
    topic: str


class Fault(enum.StrEnum):
    """How far a transport error reaches."""

    STREAM = "stream"  # this push alone
    CONNECTION = "connection"  # whatever was in flight
    CONFIGURATION = "configuration"  # every push, until someone changes something


class Outcome(NamedTuple):
    """What became of one push: either Apple's answer or a transport error.

    `unregistered_at` comes with 410: since when the token is known to be dead.
    """

    push: PushRequest
    status: int | None
    reason: str | None
    apns_id: str | None
    unregistered_at: datetime | None
    transport_error: str | None
    fault: Fault | None = None


def push_id(push: PushRequest) -> str:
    """The apns-id: the same for every attempt at the same push to the same token."""
    return str(uuid.uuid5(_NAMESPACE, f"{push.topic}/{push.token}/{push.key}"))
