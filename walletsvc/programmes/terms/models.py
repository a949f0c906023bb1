"""Versions of a programme's terms, each kept for ever."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import moment, primary_key, reference


class TermsVersion(SQLModel, table=True):
    """One version of the terms; the one with the highest number counts.

    `title` and `body` are by language. A version was read by customers: it never changes.
    """

    __tablename__ = "terms_versions"
    __table_args__ = (UniqueConstraint("programme_id", "number"),)

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    programme_id: int = reference("programmes.id", index=False)
    number: int = Field()
    title: dict[str, str] = Field(sa_type=JSONB)
    body: dict[str, str] = Field(sa_type=JSONB)
    digest: bytes = Field(sa_type=LargeBinary)
    actor: str = Field(max_length=120)
    published_at: datetime = moment()
