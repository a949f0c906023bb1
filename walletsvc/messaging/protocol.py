"""What a gateway can do: one base class per channel, and what goes in and comes out.

An adapter is one class with `kind`, `label`, a pydantic `Config` and its verbs; its settings, its
health check and its contract tests derive from these. Adapters speak to the network and know
nothing of the database.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from walletsvc.core.errors import Unavailable
from walletsvc.messaging.kinds import Channel


class GatewayConfig(BaseModel):
    """What every gateway is told; `SecretStr` fields are never shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    price_per_segment: int = Field(
        default=0, ge=0, description="What one SMS or message costs, in minor units of `currency`."
    )
    currency: str = Field(default="RUB", pattern=r"^[A-Z]{3}$", description="Of that price.")


class Fault(enum.StrEnum):
    """Why a message was not taken, by what helps."""

    LATER = "later"  # not taken; the same again may be
    UNKNOWN = "unknown"  # it may have been taken: no answer came
    REFUSED = "refused"  # this message to this address never will be
    CONFIGURATION = "configuration"  # nothing goes through this gateway until somebody mends it
    REPEATED = "repeated"  # it was taken before, the gateway says


class GatewayError(Unavailable):
    """A gateway did not do what it was asked. The detail is in our words: no phone, no text."""

    code = "gateway"
    title = "The message gateway does not do it"

    def __init__(self, detail: str, fault: Fault, *, wait: float = 0) -> None:
        """`wait`: the shortest time, in seconds, before it makes sense to try again."""
        super().__init__(detail)
        self.fault = fault
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as a gateway is given it at this moment (`at`); `message_id` is ours.

    `again`: a try before this one may have succeeded. `status_url` is where news of the delivery
    is to be sent, for gateways that can be told so with each message.
    """

    message_id: str
    to: str
    text: str
    at: datetime
    subject: str = ""
    status_url: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """A gateway has the message. What it does not tell is None."""

    external_id: str
    price: int | None = None
    segments: int | None = None


class Fate(enum.StrEnum):
    """What became of a message that a gateway has."""

    UNDER_WAY = "under_way"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Status:
    """News of a message's delivery."""

    external_id: str
    fate: Fate
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Inbound:
    """Somebody wrote to the shop's number; `phone` in E.164."""

    external_id: str
    phone: str
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody called the number they were shown. `external_id` is that of `Waiting`; a gateway
    tells it, or the phone, or both."""

    external_id: str
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call is awaited: from the phone in question to `call_to`. `external_id` is of this
    waiting alone; empty where the gateway tells two who wait for one phone not apart."""

    call_to: str
    external_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Hook:
    """What a gateway sent to our address: the fields of its form or query, or its JSON."""

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    json: Any = None

    def first(self, name: str) -> str:
        """The first value of a field; empty where there is none."""
        if isinstance(self.json, dict) and name in self.json:
            return str(self.json[name]).replace("\0", "")
        values = self.fields.get(name) or [""]
        return values[0].replace("\0", "")  # no database takes it


class Gateway(ABC):
    """An account at somebody who carries messages. Every verb raises GatewayError, and nothing
    else for what the network or the other side does."""

    kind: ClassVar[str]
    label: ClassVar[str]
    channel: ClassVar[Channel]
    Config: ClassVar[type[GatewayConfig]]
    # What is answered to a webhook; some gateways go on calling until they read this.
    thanks: ClassVar[str] = "OK"

    @abstractmethod
    def __init__(self, config: Any) -> None:
        """`config` is an instance of the class's own Config."""

    @abstractmethod
    def ping(self) -> str:
        """Ask whether the account works; what there is to say of it, such as its balance."""


class SmsGateway(Gateway):
    """Carries SMS."""

    channel = Channel.SMS
    # Whether a message given `again` is not sent twice.
    repeats_safely: ClassVar[bool] = False

    @abstractmethod
    def send(self, message: Outgoing) -> Sent:
        """Hand an SMS over."""

    @abstractmethod
    def ask(self, external_id: str, phone: str) -> Status:
        """Ask what became of one that it has."""

    def parse_status(self, hook: Hook) -> list[Status]:  # noqa: ARG002
        """The news in a webhook; none where it is not about deliveries."""
        return []

    def parse_inbound(self, hook: Hook) -> list[Inbound]:  # noqa: ARG002
        """The messages to us in a webhook; none where it is not about such."""
        return []


class EmailGateway(Gateway):
    """Carries e-mail. Delivery is not told: handed over is all that is known."""

    channel = Channel.EMAIL
    repeats_safely: ClassVar[bool] = False

    @abstractmethod
    def send(self, message: Outgoing) -> Sent:
        """Hand an e-mail over."""


class CallGateway(Gateway):
    """Proves phones by a call from them, which is hung up on and costs the caller nothing."""

    channel = Channel.CALL

    @abstractmethod
    def begin(self, phone: str, now: datetime) -> Waiting:
        """Await a call from this phone."""

    @abstractmethod
    def parse_call(self, hook: Hook) -> list[Call]:
        """The calls in a webhook; none where it is not about such."""


Adapter = SmsGateway | EmailGateway | CallGateway
BASES: Final = (SmsGateway, EmailGateway, CallGateway)
