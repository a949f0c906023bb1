"""Who was found to be whom, by whose word, and what moved."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import moment, primary_key, reference


class PersonMerge(SQLModel, table=True):
    """`merged` is the same human being as `kept`, whose row goes on.

    `details` names what moved by ids alone, so that it can go back: `phones`, `filled` (which
    fields), `consents`, `withdrawn`, `cards` that changed hands and `merges` of cards, with how
    many `refunds` there had been of what each had bought. It holds nothing personal.
    """

    __tablename__ = "person_merges"
    __table_args__ = (
        CheckConstraint("kept_id <> merged_id", name="two_persons"),
        CheckConstraint("(undone_at IS NULL) = (undone_by IS NULL)", name="undoing_told"),
        Index(
            "uq_person_merges_merged",
            "merged_id",
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
        ),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id", index=False)
    kept_id: int = reference("persons.id")
    merged_id: int = reference("persons.id")
    reason: str = Field(max_length=200)
    actor: str = Field(max_length=120)
    merged_at: datetime = moment()
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    undone_at: datetime | None = moment(nullable=True)
    undone_by: str | None = Field(default=None, max_length=120)
    undone_reason: str = Field(default="", max_length=200)
