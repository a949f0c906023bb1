"""Mergers of cards, with all that taking one back needs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.storage.columns import minor_units, moment, primary_key, reference


class CardMerge(SQLModel, table=True):
    """A card became part of another: its account (`account_id`) of that one's.

    `brought` is the balance that came, in minor units. `lots` is every lot that came as it was
    (`ledger.unmerging.LotBefore`), `undoings` how often its doings had been undone, `turnover`
    what had been bought, per organisation and day, `tier` the standing of this card and
    `into_tier` the tier of the other before. `verified`: the other card counts as proven only by
    this one. `aliases` are the cards that were part of this one. `given_back` is what an undoing
    returned, `exact` whether it made everything as it was.
    """

    __tablename__ = "card_merges"
    __table_args__ = (
        CheckConstraint("card_id <> into_id", name="two_cards"),
        CheckConstraint(
            "(undone_at IS NULL) = (given_back IS NULL) AND (undone_at IS NULL) = (exact IS NULL)",
            name="undoing_told",
        ),
        Index(
            "uq_card_merges_card",
            "card_id",
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
        ),
    )

    id: int = primary_key()
    card_id: int = reference("cards.id", index=False)
    into_id: int = reference("cards.id")
    account_id: int = reference("accounts.id", index=False)
    transaction_id: int | None = reference("ledger_transactions.id", nullable=True, index=False)
    brought: int = minor_units()
    lots: list[list[Any]] = Field(sa_type=JSONB)
    undoings: int = Field()
    turnover: list[list[Any]] = Field(sa_type=JSONB)
    tier: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    into_tier: str | None = Field(default=None, max_length=40)
    verified: bool = Field(default=False)
    aliases: list[int] = Field(sa_type=JSONB)
    merged_at: datetime = moment()
    undone_at: datetime | None = moment(nullable=True)
    given_back: int | None = minor_units(default=None, nullable=True)
    exact: bool | None = Field(default=None)
