"""What codes of cards are made of and checked against, and what showing one brings."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.programmes.models import CodePolicy as CodePolicy
from walletsvc.storage.columns import EncryptedText, choice, moment, primary_key, reference


class CardSecret(SQLModel, table=True):
    """A card's key for codes by the time, in base 16; whoever takes a code of the card locks it.

    `last_step` is the newest step whose code was taken: it and older ones are over.
    `wrong_tries` counts codes that were none since `wrong_since`.
    """

    __tablename__ = "card_secrets"
    __table_args__ = (CheckConstraint("wrong_tries >= 0", name="wrong_tries_counted"),)

    card_id: int = reference("cards.id", index=False, primary_key=True)
    secret: str = Field(sa_type=EncryptedText, repr=False)
    last_step: int | None = Field(default=None, sa_type=BigInteger)
    wrong_tries: int = Field(default=0)
    wrong_since: datetime | None = moment(nullable=True)
    created_at: datetime = moment()


class RollingCode(SQLModel, table=True):
    """A code on a card's Apple pass.

    The one that was not taken yet is the one that the pass shows. `taken_at` is when it was first
    taken: then the next was drawn. `retired_at` is when a phone fetched the pass with a later one.
    The code is kept as it is, for the pass that it stands on is.
    """

    __tablename__ = "rolling_codes"
    __table_args__ = (
        UniqueConstraint("card_id", "code"),
        Index(
            "uq_rolling_codes_shown",
            "card_id",
            unique=True,
            postgresql_where=text("taken_at IS NULL"),
        ),
        CheckConstraint("retired_at IS NULL OR taken_at IS NOT NULL", name="taken_first"),
        Index("ix_rolling_codes_taken_at", "taken_at"),
    )

    id: int = primary_key()
    card_id: int = reference("cards.id", index=False)
    code: str = Field(max_length=12, repr=False)
    created_at: datetime = moment()
    taken_at: datetime | None = moment(nullable=True)
    retired_at: datetime | None = moment(nullable=True)


class How(enum.StrEnum):
    """Which kind of code was shown."""

    ROLLING = "rolling"
    TIME_BASED = "time_based"


class Presentation(SQLModel, table=True):
    """A code that was shown and taken: good for one sale or hold of the card.

    It is the organisation's whose key (`actor`) took the code, and the branch's if that key has
    one. `step` or `rolling_code_id` says which code it was; `used_for`, what it was used for.
    """

    __tablename__ = "presentations"
    __table_args__ = (
        CheckConstraint(
            "(how = 'rolling') = (rolling_code_id IS NOT NULL)"
            " AND (how = 'time_based') = (step IS NOT NULL)",
            name="code_told",
        ),
        Index("ix_presentations_card_id_step", "card_id", "step"),
        Index("ix_presentations_created_at", "created_at"),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    card_id: int = reference("cards.id", index=False)
    organisation_id: int = reference("organisations.id", index=False)
    branch_id: int | None = reference("branches.id", nullable=True, index=False)
    actor: str = Field(max_length=120)
    how: How = choice(How, "presentation_how")
    step: int | None = Field(default=None, sa_type=BigInteger)
    rolling_code_id: int | None = reference("rolling_codes.id", nullable=True)
    created_at: datetime = moment()
    expires_at: datetime = moment()
    used_at: datetime | None = moment(nullable=True)
    used_for: str = Field(default="", max_length=60)
