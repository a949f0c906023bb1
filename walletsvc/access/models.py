"""Staff and API keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import moment, primary_key, reference


class Staff(SQLModel, table=True):
    """Somebody who works for an organisation, and how to reach them."""

    __tablename__ = "staff"

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id")
    name: str = Field(max_length=120)
    phone: str | None = Field(default=None, max_length=16)
    email: str | None = Field(default=None, max_length=254)
    language: str = Field(default="ru", max_length=2)
    created_at: datetime = moment()
    closed_at: datetime | None = moment(nullable=True)


class ApiKey(SQLModel, table=True):
    """A key another program calls us with; only its SHA-256 is stored."""

    __tablename__ = "api_keys"

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id")
    branch_id: int | None = reference("branches.id", nullable=True)
    name: str = Field(max_length=80)
    key_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    scopes: list[str] = Field(sa_type=ARRAY(Text))
    created_at: datetime = moment()
    revoked_at: datetime | None = moment(nullable=True)
