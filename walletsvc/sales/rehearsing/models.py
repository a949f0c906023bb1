"""A rehearsal: which rules were tried on which purchases, how far it is, and what it found."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import moment, primary_key, reference


class Rehearsal(SQLModel, table=True):
    """A draft tried on the purchases of the local days `first_day` to `last_day`, both included.

    `book` is the draft as it was then and `digest` tells it from later ones. Purchases up to
    `last_purchase_id` are meant, all of them or those of `branches` (public ids). `place` is where
    an account is left that has more purchases than fit a piece, `figures` what has been counted.
    """

    __tablename__ = "rehearsals"

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    programme_id: int = reference("programmes.id")
    rule_version_id: int = reference("rule_versions.id", index=False)
    job_id: int = reference("bulk_jobs.id", unique=True, index=False)
    digest: str = Field(max_length=64)
    book: dict[str, Any] = Field(sa_type=JSONB)
    first_day: date = Field()
    last_day: date = Field()
    branches: list[str] = Field(default_factory=list, sa_type=JSONB)
    last_purchase_id: int = Field(sa_type=BigInteger)
    place: dict[str, Any] | None = Field(default=None, sa_type=JSONB, nullable=True)
    figures: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    actor: str = Field(max_length=120)
    created_at: datetime = moment()
