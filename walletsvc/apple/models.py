"""Signing certificates, devices, registrations, pushes, device logs."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import BigInteger, Index, SmallInteger, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from walletsvc.storage.columns import choice, moment, primary_key, reference


class CertificateState(enum.StrEnum):
    """Life of a signing certificate; one is active per pass type."""

    ACTIVE = "active"
    RETIRED = "retired"


class SigningCertificate(SQLModel, table=True):
    """A Pass Type ID certificate. The private key stays in a file of the data directory."""

    __tablename__ = "signing_certificates"
    __table_args__ = (
        Index(
            "uq_signing_certificates_active",
            "pass_type_id",
            unique=True,
            postgresql_where=text("state = 'active'"),
        ),
    )

    id: int = primary_key()
    pass_type_id: int = reference("pass_types.id")
    state: CertificateState = choice(CertificateState, "certificate_state")
    fingerprint: str = Field(unique=True, max_length=64)
    certificate_pem: str = Field(sa_type=Text)
    chain_pem: str = Field(sa_type=Text)
    key_file: str = Field(max_length=200)
    not_before: datetime = moment()
    not_after: datetime = moment()
    created_at: datetime = moment()


class Device(SQLModel, table=True):
    """A device library; its identifier is the secret that the list call rests on.

    One phone may appear under several, so devices are not people. `registered_at` is the
    last time the device said which token it has; an older 410 from Apple does not count.
    Until `quiet_until` it gets no push: Apple said that it had too many.
    """

    __tablename__ = "devices"

    id: int = primary_key()
    library_identifier: str = Field(unique=True, max_length=128)
    push_token: str = Field(max_length=200)
    registered_at: datetime = moment()
    quiet_until: datetime | None = moment(nullable=True)
    created_at: datetime = moment()


class Registration(SQLModel, table=True):
    """A device holds a pass. `tag` is set when the device registered an older copy, so that
    its next list call names the pass whatever tag the device already has."""

    __tablename__ = "registrations"
    __table_args__ = (
        UniqueConstraint("device_id", "pass_id"),
        Index("ix_registrations_device_id_pass_type_id", "device_id", "pass_type_id"),
    )

    id: int = primary_key()
    device_id: int = reference("devices.id", index=False, ondelete="CASCADE")
    pass_id: int = reference("passes.id")
    pass_type_id: int = reference("pass_types.id", index=False)
    tag: int = Field(default=0, sa_type=BigInteger)
    created_at: datetime = moment()


class Push(SQLModel, table=True):
    """A device is to be told that passes of a type changed. Append-only until sent.

    Claiming moves `due_at` past the lease, so a dead sender's rows come back by themselves;
    success deletes the row.
    """

    __tablename__ = "pushes"
    __table_args__ = (
        Index("ix_pushes_pass_type_id_lane_due_at", "pass_type_id", "lane", "due_at"),
    )

    id: int = primary_key()
    device_id: int = reference("devices.id", ondelete="CASCADE")
    pass_type_id: int = reference("pass_types.id", index=False)
    lane: int = Field(sa_type=SmallInteger)
    due_at: datetime = moment()
    attempts: int = Field(default=0)
    created_at: datetime = moment()


class ChannelState(enum.StrEnum):
    """Whether pushes of a pass type are sent."""

    OPEN = "open"
    STOPPED = "stopped"  # by a fault of configuration: tried again at `retry_at`
    PAUSED = "paused"  # by the operator: until resumed


class PushChannel(SQLModel, table=True):
    """The circuit breaker of a pass type's pushes, for all senders; no row means open.

    `reason` says in words why it is not open; `failures` counts the stops in a row. None means
    that the fault is one host's own: it is shown, and no other sender is stopped by it. A stop
    without `retry_at` lasts until the operator resumes. Open until `retry_at` means that lost
    devices are believed so long, however many (see `rules.LossGuard`).
    """

    __tablename__ = "push_channels"

    pass_type_id: int = reference("pass_types.id", index=False, primary_key=True)
    state: ChannelState = choice(ChannelState, "channel_state")
    reason: str = Field(default="", max_length=500)
    failures: int = Field(default=0)
    since: datetime = moment()
    retry_at: datetime | None = moment(nullable=True)


class DeviceLog(SQLModel, table=True):
    """A line a device sent to `/log`, with secrets taken out; `pass_id` is the pass it names."""

    __tablename__ = "device_logs"

    id: int = primary_key()
    at: datetime = moment(index=True)
    message: str = Field(max_length=1000)
    pass_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
