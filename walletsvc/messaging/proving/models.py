"""Proofs of phones."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import ARRAY, CheckConstraint, Index, LargeBinary, Text
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import choice, moment, primary_key, reference


class ProofPurpose(enum.StrEnum):
    """What a proof is for; a proof for one purpose proves nothing for another."""

    JOIN = "join"
    LOG_IN = "log_in"
    TILL = "till"
    CLAIM = "claim"
    CHANGE_PHONE = "change_phone"
    SPEND = "spend"


class Route(enum.StrEnum):
    """How the phone shows that it is in somebody's hand."""

    SMS = "sms"
    CALL = "call"
    MESSENGER = "messenger"


class PhoneProof(SQLModel, table=True):
    """One attempt to prove a phone. `code_hash` is keyed and bound to this row.

    `subject` binds the proof to what asked for it (a form, a session, a card). A proof is made
    once (`proven_at`) and used once (`used_at`). `texts` are the public ids of the consents' texts
    that its message named: telling the code agrees to these and to no others.
    """

    __tablename__ = "phone_proofs"
    __table_args__ = (
        CheckConstraint("used_at IS NULL OR proven_at IS NOT NULL", name="proven_before_use"),
        CheckConstraint("tries >= 0", name="tries_counted"),
        Index("ix_phone_proofs_phone_created", "phone", "created_at"),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id", index=False)
    programme_id: int | None = reference("programmes.id", nullable=True)
    purpose: ProofPurpose = choice(ProofPurpose, "proof_purpose")
    route: Route = choice(Route, "proof_route")
    phone: str = Field(max_length=16)
    subject: str = Field(default="", max_length=80)
    code_hash: bytes | None = Field(default=None, sa_type=LargeBinary)
    reference: str = Field(default="", max_length=120)
    texts: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    tries: int = Field(default=0)
    sends: int = Field(default=1)
    created_at: datetime = moment(index=True)
    expires_at: datetime = moment()
    proven_at: datetime | None = moment(nullable=True)
    used_at: datetime | None = moment(nullable=True)
