"""API keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import moment, primary_key, reference


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
