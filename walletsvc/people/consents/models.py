"""Texts of consents, each version kept for ever, and who agreed to which."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import choice, moment, primary_key, reference


class Purpose(enum.StrEnum):
    """What is agreed to. The law wants each as a document of its own, never merged."""

    DATA = "data"
    ADVERTISING = "advertising"


class ConsentChannel(enum.StrEnum):
    """By which way advertising may come; each is agreed to by itself."""

    SMS = "sms"
    EMAIL = "email"
    WALLET = "wallet"
    MESSENGER = "messenger"
    CALL = "call"


class Way(enum.StrEnum):
    """Through which door a person came, or an agreement was given or withdrawn."""

    FORM = "form"
    TILL = "till"
    BOT = "bot"
    CRM = "crm"
    IMPORT = "import"
    PAGE = "page"
    STAFF = "staff"
    SMS = "sms"


class ConsentText(SQLModel, table=True):
    """One version of the text of one purpose. `title` and `body` are by language; a version that
    somebody could have agreed to never changes."""

    __tablename__ = "consent_texts"
    __table_args__ = (
        UniqueConstraint("organisation_id", "purpose", "version"),
        Index(
            "uq_consent_texts_published",
            "organisation_id",
            "purpose",
            unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id", index=False)
    purpose: Purpose = choice(Purpose, "consent_purpose")
    version: int = Field()
    title: dict[str, str] = Field(sa_type=JSONB)
    body: dict[str, str] = Field(sa_type=JSONB)
    digest: bytes = Field(sa_type=LargeBinary)
    actor: str = Field(max_length=120)
    published_at: datetime = moment()
    retired_at: datetime | None = moment(nullable=True)


class Consent(SQLModel, table=True):
    """A person agreed to a version of a text: when, by which door, and what proves it.

    Advertising is agreed to per channel, data processing has none. `phone` is the number it was
    given with (E.164), `proof_id` the proof that it was in their hand, `actor` who wrote it down.
    """

    __tablename__ = "consents"
    __table_args__ = (
        CheckConstraint("(purpose = 'advertising') = (channel IS NOT NULL)", name="channel_told"),
        CheckConstraint("(withdrawn_at IS NULL) = (withdrawn_way IS NULL)", name="withdrawal_told"),
        Index(
            "uq_consents_standing",
            "person_id",
            "purpose",
            "channel",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    person_id: int = reference("persons.id")
    text_id: int = reference("consent_texts.id")
    purpose: Purpose = choice(Purpose, "consents_purpose")
    channel: ConsentChannel | None = choice(
        ConsentChannel, "consents_channel", nullable=True, default=None
    )
    way: Way = choice(Way, "consents_way")
    language: str = Field(default="ru", max_length=2)
    phone: str | None = Field(default=None, max_length=16)
    proof_id: int | None = reference("phone_proofs.id", nullable=True)
    actor: str = Field(max_length=120)
    given_at: datetime = moment()
    withdrawn_at: datetime | None = moment(nullable=True)
    withdrawn_way: Way | None = choice(Way, "consents_withdrawn_way", nullable=True, default=None)
    withdrawn_actor: str | None = Field(default=None, max_length=120)
