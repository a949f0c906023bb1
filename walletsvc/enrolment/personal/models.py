"""Whose data was taken out, by whose word."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import moment, primary_key, reference


class Erasure(SQLModel, table=True):
    """Everything personal of a person was taken out. `forfeited` is what their cards lost by it,
    `remaining` what they still have, in minor units by the public id of the card."""

    __tablename__ = "erasures"

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id", index=False)
    person_id: int = reference("persons.id", unique=True, index=False)
    reason: str = Field(max_length=200)
    actor: str = Field(max_length=120)
    forfeited: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    remaining: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    at: datetime = moment()


class WelcomedPhone(SQLModel, table=True):
    """A programme gave what new members get to somebody with a phone of this keyed hash, who was
    erased. Kept for a year, against those who come again and again for it; it refers to nobody."""

    __tablename__ = "welcomed_phones"

    programme_id: int = reference("programmes.id", index=False, primary_key=True)
    phone_hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    erased_at: datetime = moment(index=True)
