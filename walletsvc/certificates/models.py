"""Gift certificates."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, LargeBinary
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import (
    EncryptedText,
    choice,
    minor_units,
    moment,
    primary_key,
    reference,
)


class Origin(enum.StrEnum):
    """Where a certificate's money comes from: only what was paid for can be paid out."""

    PAID = "paid"
    FREE = "free"


class Certificate(SQLModel, table=True):
    """A certificate has an account of its own, never shared.

    The code is money: encrypted at rest, found by a keyed hash. An expired certificate cannot
    be spent, yet its money is still owed; `expired_at` is when the nightly job noted the end.
    A certificate that was transferred is closed; its successor names it.
    """

    __tablename__ = "certificates"
    __table_args__ = (CheckConstraint("face_value > 0", name="face_value_positive"),)

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    programme_id: int = reference("programmes.id")
    branch_id: int | None = reference("branches.id", nullable=True)
    account_id: int = reference("accounts.id", unique=True, index=False)
    code: str = Field(sa_type=EncryptedText)
    code_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    origin: Origin = choice(Origin, "certificate_origin")
    face_value: int = minor_units()
    recipient_name: str = Field(default="", max_length=120)
    language: str = Field(default="ru", max_length=2)
    link_token: str = Field(sa_type=EncryptedText)
    link_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    issued_at: datetime = moment()
    expires_at: datetime | None = moment(nullable=True)
    expired_at: datetime | None = moment(nullable=True)
    blocked_at: datetime | None = moment(nullable=True)
    block_reason: str = Field(default="", max_length=200)
    transferred_from_id: int | None = reference("certificates.id", nullable=True)
    closed_at: datetime | None = moment(nullable=True)


class EventKind(enum.StrEnum):
    """What happened to a certificate beside its money."""

    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    EXPIRED = "expired"
    PAID_OUT = "paid_out"
    TRANSFERRED = "transferred"
    PAYOUT_UNDONE = "payout_undone"
    CANCELLED = "cancelled"  # its issue was undone


class CertificateEvent(SQLModel, table=True):
    """A change of a certificate's state, by whom and why; only ever added to."""

    __tablename__ = "certificate_events"

    id: int = primary_key()
    certificate_id: int = reference("certificates.id")
    kind: EventKind = choice(EventKind, "certificate_event_kind")
    actor: str = Field(max_length=120)
    reason: str = Field(default="", max_length=200)
    at: datetime = moment()


class BatchRow(SQLModel, table=True):
    """One recipient of a bulk issue: what was asked for, and the certificate it became."""

    __tablename__ = "certificate_batch_rows"
    __table_args__ = (CheckConstraint("face_value > 0", name="face_value_positive"),)

    job_id: int = reference("bulk_jobs.id", index=False, primary_key=True, ondelete="CASCADE")
    row: int = Field(primary_key=True, sa_type=BigInteger)
    face_value: int = minor_units()
    recipient_name: str = Field(default="", max_length=120)
    language: str = Field(default="ru", max_length=2)
    certificate_id: int | None = reference("certificates.id", nullable=True, index=False)
