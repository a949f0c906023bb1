"""Programmes and the versions of their rules."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import choice, minor_units, moment, primary_key, reference


class ProgrammeKind(enum.StrEnum):
    """What the programme counts."""

    POINTS = "points"
    GIFT = "gift"
    DISCOUNT = "discount"
    STAMPS = "stamps"


class Programme(SQLModel, table=True):
    """One scheme of one organisation, and what its accounts count.

    Points programmes count points, stamps programmes whole stamps, gift programmes money. A
    discount programme takes money off the bill and counts nothing. `debt_limit` is how much a card
    may owe, in minor units: what was spent may be taken back. With `verified_only` a card brings
    nothing until its holder has proved a phone.
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
    verified_only: bool = Field(default=False)
    created_at: datetime = moment()
    closed_at: datetime | None = moment(nullable=True)


class RuleState(enum.StrEnum):
    """Life of a version of the rules; one is in draft and one published at a time."""

    DRAFT = "draft"
    PUBLISHED = "published"
    RETIRED = "retired"


class RuleVersion(SQLModel, table=True):
    """A rule book (`rulebook/schemas.py`) of a programme, which never changes once published.

    `actor` is who saved the draft last, and then who published it.
    """

    __tablename__ = "rule_versions"
    __table_args__ = (
        UniqueConstraint("programme_id", "number"),
        CheckConstraint(
            "(state = 'draft') = (published_at IS NULL)"
            " AND (state = 'retired') = (retired_at IS NOT NULL)",
            name="state_told",
        ),
        Index(
            "uq_rule_versions_draft",
            "programme_id",
            unique=True,
            postgresql_where=text("state = 'draft'"),
        ),
        Index(
            "uq_rule_versions_published",
            "programme_id",
            unique=True,
            postgresql_where=text("state = 'published'"),
        ),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    programme_id: int = reference("programmes.id", index=False)
    number: int = Field()
    state: RuleState = choice(RuleState, "rule_state", default=RuleState.DRAFT)
    book: dict[str, Any] = Field(sa_type=JSONB)
    note: str = Field(default="", max_length=200)
    actor: str = Field(max_length=120)
    created_at: datetime = moment()
    updated_at: datetime = moment()
    published_at: datetime | None = moment(nullable=True)
    retired_at: datetime | None = moment(nullable=True)
