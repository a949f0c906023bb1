"""Programme definitions."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import choice, moment, primary_key, reference


class ProgrammeKind(enum.StrEnum):
    """What the programme counts."""

    POINTS = "points"
    GIFT = "gift"


class Programme(SQLModel, table=True):
    """One scheme of one organisation; points programmes count points, gift programmes money."""

    __tablename__ = "programmes"

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id")
    slug: str = Field(unique=True, max_length=40)
    kind: ProgrammeKind = choice(ProgrammeKind, "programme_kind")
    name: str = Field(max_length=80)
    currency: str = Field(max_length=3)
    unit_id: int = reference("ledger_units.id")
    time_zone: str = Field(default="Europe/Moscow", max_length=64)
    created_at: datetime = moment()
    closed_at: datetime | None = moment(nullable=True)
