"""Programme definitions."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import choice, minor_units, moment, primary_key, reference


class ProgrammeKind(enum.StrEnum):
    """What the programme counts."""

    POINTS = "points"
    GIFT = "gift"


class Programme(SQLModel, table=True):
    """One scheme of one organisation; points programmes count points, gift programmes money.

    `debt_limit` is how much a card may owe, in minor units: what was spent may be taken back.
    """

    __tablename__ = "programmes"
    __table_args__ = (CheckConstraint("debt_limit >= 0", name="debt_limit_not_negative"),)

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id")
    slug: str = Field(unique=True, max_length=40)
    kind: ProgrammeKind = choice(ProgrammeKind, "programme_kind")
    name: str = Field(max_length=80)
    currency: str = Field(max_length=3)
    unit_id: int = reference("ledger_units.id")
    time_zone: str = Field(default="Europe/Moscow", max_length=64)
    debt_limit: int = minor_units(default=0)
    created_at: datetime = moment()
    closed_at: datetime | None = moment(nullable=True)
