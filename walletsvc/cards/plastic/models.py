"""Plastic numbers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from walletsvc.storage.columns import moment, primary_key, reference


class PlasticNumber(SQLModel, table=True):
    """A number on a plastic card of an organisation, and the card that it stands for.

    `claimed_at` is when its owner proved a phone and took it, `claimed_phone` that phone.
    `import_id` is the list that it came with.
    """

    __tablename__ = "plastic_numbers"
    __table_args__ = (UniqueConstraint("organisation_id", "number"),)

    id: int = primary_key()
    organisation_id: int = reference("organisations.id", index=False)
    number: str = Field(max_length=40)
    card_id: int = reference("cards.id")
    claimed_at: datetime | None = moment(nullable=True)
    claimed_phone: str | None = Field(default=None, max_length=16)
    import_id: int | None = reference("imports.id", nullable=True, index=False)
    created_at: datetime = moment()
