"""Pass types, templates and passes."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id, secret_token
from walletsvc.storage.columns import EncryptedText, choice, moment, primary_key, reference


class Wallet(enum.StrEnum):
    """The dialects a card can be shown in."""

    APPLE = "apple"
    GOOGLE = "google"


class VersionState(enum.StrEnum):
    """Life of a template version; one is published at a time."""

    DRAFT = "draft"
    PUBLISHED = "published"
    RETIRED = "retired"


class PassType(SQLModel, table=True):
    """Who issues passes in a wallet, and the counter their update tags come from.

    For Apple that is a pass type identifier of a team, for Google an issuer id.

    The counter is locked last and briefly by whoever publishes, so tags commit in order.
    A restored backup gets a new epoch: tags of another epoch count as no tag. `generation`
    counts renewals of the signing certificate and is part of every pass's digest, so that each
    renewal publishes each pass once.
    """

    __tablename__ = "pass_types"

    id: int = primary_key()
    wallet: Wallet = choice(Wallet, "pass_type_wallet", default=Wallet.APPLE)
    identifier: str = Field(unique=True, max_length=155)
    team_identifier: str = Field(max_length=10)  # Apple's; '' elsewhere
    epoch: int = Field(sa_type=BigInteger)
    counter: int = Field(default=0, sa_type=BigInteger)
    generation: int = Field(default=0)
    created_at: datetime = moment()


class PassTemplate(SQLModel, table=True):
    """The look of one programme's passes; its versions carry the content."""

    __tablename__ = "pass_templates"

    id: int = primary_key()
    programme_id: int = reference("programmes.id", unique=True, index=False)
    pass_type_id: int = reference("pass_types.id")
    created_at: datetime = moment()


class TemplateVersion(SQLModel, table=True):
    """A neutral description (`passes/schemas.py`), immutable once published."""

    __tablename__ = "template_versions"
    __table_args__ = (
        UniqueConstraint("template_id", "number"),
        Index(
            "uq_template_versions_published",
            "template_id",
            unique=True,
            postgresql_where=text("state = 'published'"),
        ),
    )

    id: int = primary_key()
    template_id: int = reference("pass_templates.id", index=False)
    number: int = Field()
    state: VersionState = choice(VersionState, "version_state", default=VersionState.DRAFT)
    description: dict[str, Any] = Field(sa_type=JSONB)
    digest: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = moment()
    published_at: datetime | None = moment(nullable=True)


class TemplateImage(SQLModel, table=True):
    """A PNG of a version: the source (density 0) and what was made from it (1, 2, 3)."""

    __tablename__ = "template_images"
    __table_args__ = (CheckConstraint("density BETWEEN 0 AND 3", name="density_range"),)

    version_id: int = reference("template_versions.id", index=False, primary_key=True)
    kind: str = Field(primary_key=True, max_length=20)
    density: int = Field(primary_key=True, sa_type=SmallInteger)
    png: bytes = Field(sa_type=LargeBinary)


class Pass(SQLModel, table=True):
    """A card or certificate in one wallet.

    Serial number and authentication token are random, stored, and never change: old copies
    live on in backups. `content` is what was last published; `digest` tells whether what
    would be published now differs from it.
    """

    __tablename__ = "passes"
    __table_args__ = (
        CheckConstraint("(card_id IS NULL) <> (certificate_id IS NULL)", name="one_holder"),
        UniqueConstraint("card_id", "wallet"),
        UniqueConstraint("certificate_id", "wallet"),
        UniqueConstraint("pass_type_id", "serial"),
        # A broadcast changes all rows of a page in one transaction. With room for the new ones
        # beside the old no index has to learn where they are.
        {"postgresql_with": {"fillfactor": 45}},
    )

    id: int = primary_key()
    card_id: int | None = reference("cards.id", nullable=True, index=False)
    certificate_id: int | None = reference("certificates.id", nullable=True, index=False)
    wallet: Wallet = choice(Wallet, "wallet")
    template_id: int = reference("pass_templates.id")
    pass_type_id: int = reference("pass_types.id", index=False)
    serial: str = Field(default_factory=public_id, max_length=64)
    auth_token: str = Field(default_factory=secret_token, sa_type=EncryptedText)
    content: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    digest: bytes | None = Field(default=None, sa_type=LargeBinary)
    version_id: int | None = reference("template_versions.id", nullable=True, index=False)
    revision: int = Field(default=0)
    tag: int = Field(default=0, sa_type=BigInteger)
    last_modified: datetime | None = moment(nullable=True)
    published_at: datetime | None = moment(nullable=True)
    # Downloads of the present revision that no registration has been matched with yet: a
    # device that registers without one holds an older copy and must be told at once.
    unclaimed_downloads: int = Field(default=0)
    downloaded_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment()


class EventKind(enum.StrEnum):
    """What can happen to a pass on its way to a phone."""

    PUBLISHED = "published"  # the pass says something new since
    PUSHED = "pushed"  # the wallet's push service was told, and answered
    ASKED = "asked"  # a device listed what changed
    FETCHED = "fetched"  # somebody took the pass
    UNCHANGED = "unchanged"  # somebody asked for the pass and had it already (304)
    REGISTERED = "registered"
    UNREGISTERED = "unregistered"
    DEVICE_LOST = "device-lost"  # the push service says that the device is gone
    SENT = "sent"  # the wallet's own servers were given the pass or a message, and answered
    SAVED = "saved"  # the wallet said that somebody added the pass
    REMOVED = "removed"  # the wallet said that somebody removed it


class PassEvent(SQLModel, table=True):
    """One line of the timeline that answers "why did it not update?" (`passes/events.py`).

    Kept for a while only, and written by the thousand: no foreign keys, and events of a device
    (pushed, asked) carry no pass, because one push stands for all passes of its type.
    """

    __tablename__ = "pass_events"
    __table_args__ = (
        Index(
            "ix_pass_events_pass_id_id",
            "pass_id",
            "id",
            postgresql_where=text("pass_id IS NOT NULL"),
        ),
        Index(
            "ix_pass_events_device_id_id",
            "device_id",
            "id",
            postgresql_where=text("device_id IS NOT NULL"),
        ),
        Index("ix_pass_events_at", "at", postgresql_using="brin"),
    )

    id: int = primary_key()
    at: datetime = moment()
    kind: EventKind = choice(EventKind, "event_kind")
    pass_type_id: int = Field(sa_type=BigInteger)
    pass_id: int | None = Field(default=None, sa_type=BigInteger)
    device_id: int | None = Field(default=None, sa_type=BigInteger)
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
