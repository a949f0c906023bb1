"""Gateways that carry messages, and the messages: from the wish to the news of delivery."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any, Final

from sqlalchemy import CheckConstraint, Enum, Index, SmallInteger, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import Text
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id, secret_token
from walletsvc.messaging.kinds import Channel, MessageKind
from walletsvc.storage.columns import (
    EncryptedText,
    choice,
    minor_units,
    moment,
    primary_key,
    reference,
)


class Gateway(SQLModel, table=True):
    """An account at somebody who carries messages; without an organisation it serves all.

    An organisation's own go before those of all, then the lower `position`. `config` is the JSON
    of the adapter's Config, `hook_secret` what its webhook address ends with. With
    `stopped_reason` it is out of use until `retry_at`: its key is wrong or its money has run out.
    """

    __tablename__ = "gateways"
    __table_args__ = (
        CheckConstraint("(stopped_reason = '') = (retry_at IS NULL)", name="stop_told"),
        Index(
            "ix_gateways_open", "channel", "position", postgresql_where=text("closed_at IS NULL")
        ),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int | None = reference("organisations.id", nullable=True)
    channel: Channel = choice(Channel, "gateway_channel")
    kind: str = Field(max_length=40)
    label: str = Field(max_length=120)
    config: str = Field(sa_type=EncryptedText)
    hook_secret: str = Field(default_factory=secret_token, sa_type=EncryptedText)
    position: int = Field(default=0, sa_type=SmallInteger)
    stopped_reason: str = Field(default="", max_length=300)
    failures: int = Field(default=0)
    retry_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment()
    closed_at: datetime | None = moment(nullable=True)


class MessageState(enum.StrEnum):
    """Where a message is."""

    QUEUED = "queued"
    SENDING = "sending"  # claimed by a worker: it may be on its way
    SENT = "sent"  # a gateway has it
    DELIVERED = "delivered"
    FAILED = "failed"  # no channel brought it
    REFUSED = "refused"  # it may not be sent any more, as by a consent withdrawn meanwhile
    EXPIRED = "expired"  # nobody wants it any more


FINAL: Final = frozenset(
    {MessageState.DELIVERED, MessageState.FAILED, MessageState.REFUSED, MessageState.EXPIRED}
)


_KIND: Final = Enum(
    MessageKind,
    native_enum=False,
    create_constraint=False,
    length=32,
    values_callable=lambda members: [member.value for member in members],
)


class Message(SQLModel, table=True):
    """One message to one recipient.

    `channels` are those it may go by and `step` says which one it is at. `recipient` is the JSON
    of phone and e-mail, `body` the JSON of the words by channel; that of a code is blanked when
    there is nothing more to do with it. `due_at` is set while there is: a claim moves it past the
    lease, and after sending it is when the next channel is tried without news of delivery.
    `attempts` are counted before each try on the channel of the moment. `segments` and `price`
    (minor units of `currency`) are those of the channel of the moment, of `spent` before it.
    `history` has what each try came to, without words or addresses.
    """

    __tablename__ = "messages"
    __table_args__ = (
        CheckConstraint("step < cardinality(channels)", name="step_within"),
        CheckConstraint("attempts >= 0 AND segments >= 0 AND price >= 0", name="counted"),
        Index("ix_messages_due", "lane", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index(
            "ix_messages_gateway_external",
            "gateway_id",
            "external_id",
            postgresql_where=text("external_id <> ''"),
        ),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id")
    person_id: int | None = reference("persons.id", nullable=True)
    # Kinds come with their words: a new one needs no change of the schema.
    kind: MessageKind = Field(sa_type=_KIND)
    language: str = Field(default="ru", max_length=2)
    lane: int = Field(default=0, sa_type=SmallInteger)
    channels: list[str] = Field(sa_type=ARRAY(Text))
    step: int = Field(default=0, sa_type=SmallInteger)
    recipient: str = Field(sa_type=EncryptedText)
    body: str | None = Field(default=None, sa_type=EncryptedText)
    state: MessageState = choice(MessageState, "message_state", default=MessageState.QUEUED)
    gateway_id: int | None = reference("gateways.id", nullable=True, index=False)
    external_id: str = Field(default="", max_length=120)
    attempts: int = Field(default=0)
    segments: int = Field(default=0)
    price: int = minor_units(default=0)
    spent: int = minor_units(default=0)
    currency: str = Field(default="RUB", max_length=3)
    error: str = Field(default="", max_length=300)
    history: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    due_at: datetime | None = moment(nullable=True)
    expires_at: datetime | None = moment(nullable=True)
    sent_at: datetime | None = moment(nullable=True)
    final_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment(index=True)
