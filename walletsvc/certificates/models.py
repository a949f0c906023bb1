"""Gift certificates."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import EncryptedText, minor_units, moment, primary_key, reference


class Certificate(SQLModel, table=True):
    """A certificate has an account of its own, never shared.

    The code is money: encrypted at rest, found by a keyed hash. An expired certificate is
    blocked, yet still owed.
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
    face_value: int = minor_units()
    recipient_name: str = Field(default="", max_length=120)
    language: str = Field(default="ru", max_length=2)
    link_token: str = Field(sa_type=EncryptedText)
    link_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    issued_at: datetime = moment()
    expires_at: datetime | None = moment(nullable=True)
    blocked_at: datetime | None = moment(nullable=True)
    closed_at: datetime | None = moment(nullable=True)
