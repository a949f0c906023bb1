"""Cards."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import EncryptedText, moment, primary_key, reference


class Card(SQLModel, table=True):
    """Person × programme. The number is random with a Luhn digit; the account holds the points.

    `link_token` opens the card's public page: stored encrypted, found by its hash. A card that was
    merged is closed; whoever shows its number or page means the card in `merged_into_id`.
    `verified_at` is when its holder first proved a phone; some programmes want that before
    anything else.
    """

    __tablename__ = "cards"
    __table_args__ = (UniqueConstraint("person_id", "programme_id"),)

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    person_id: int = reference("persons.id", index=False)
    programme_id: int = reference("programmes.id")
    account_id: int = reference("accounts.id")
    group_id: int | None = reference("card_groups.id", nullable=True)
    merged_into_id: int | None = reference("cards.id", nullable=True)
    number: str = Field(unique=True, max_length=20)
    link_token: str = Field(sa_type=EncryptedText)
    link_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    created_at: datetime = moment()
    verified_at: datetime | None = moment(nullable=True)
    closed_at: datetime | None = moment(nullable=True)
