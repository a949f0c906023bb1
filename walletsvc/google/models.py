"""What Google was told: classes, objects, messages, and the budget of notifications.

Google keeps copies of our objects and phones follow those. So a row here says what its copy is
known to say, and what is still to be sent; sending moves the two together. Nothing is queued
twice: a row that is due is due once, however often its pass changes meanwhile.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.storage.columns import choice, moment, primary_key, reference


class IssuerState(enum.StrEnum):
    """Whether anything is sent for an issuer."""

    OPEN = "open"
    STOPPED = "stopped"  # by a fault of configuration: tried again at `retry_at`
    PAUSED = "paused"  # by the operator: until resumed


class GoogleIssuer(SQLModel, table=True):
    """An issuer account: the rate limiter and the circuit breaker all workers share.

    The limiter is the virtual scheduling form of the leaky bucket: `free_at` is when the next
    request may leave; taking n requests moves it on by n intervals. The issuer's pass type
    (wallet `google`, identifier the issuer id) owns the update tags.
    """

    __tablename__ = "google_issuers"

    pass_type_id: int = reference("pass_types.id", index=False, primary_key=True)
    free_at: datetime = moment()
    state: IssuerState = choice(IssuerState, "google_issuer_state", default=IssuerState.OPEN)
    reason: str = Field(default="", max_length=500)
    failures: int = Field(default=0)
    since: datetime = moment()
    retry_at: datetime | None = moment(nullable=True)


class Kind(enum.StrEnum):
    """The resources we issue, as Google spells them in paths."""

    LOYALTY = "loyalty"
    GIFT_CARD = "giftCard"


class GoogleClass(SQLModel, table=True):
    """The class of one template's objects. Google has no delete: a class stays for ever.

    `digest` is of the body Google has; None means that it does not have the class yet.
    """

    __tablename__ = "google_classes"
    __table_args__ = (UniqueConstraint("template_id", "pass_type_id"),)

    id: int = primary_key()
    template_id: int = reference("pass_templates.id", index=False)
    pass_type_id: int = reference("pass_types.id", index=False)
    kind: Kind = choice(Kind, "google_class_kind")
    class_id: str = Field(unique=True, max_length=100)
    version_id: int | None = reference("template_versions.id", nullable=True, index=False)
    digest: bytes | None = Field(default=None, sa_type=LargeBinary)
    review_status: str = Field(default="", max_length=40)
    attempts: int = Field(default=0)
    due_at: datetime | None = moment(nullable=True)
    error: str = Field(default="", max_length=500)
    synced_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment()


class GoogleObject(SQLModel, table=True):
    """One pass at Google. The row comes with the first click on its save link.

    `due_at` is set while something is to be sent; a claim moves it past the lease, so a dead
    sender's rows come back by themselves. `sent_revision` is the revision of the pass that Google
    is known to show and `sent_values` what of it may notify. `attempt` is a request whose answer
    is not known (`{"revision", "values", "buzz"}`): the object is read before anything is sent
    again, so that nobody is notified twice.
    """

    __tablename__ = "google_objects"
    __table_args__ = (
        Index(
            "ix_google_objects_due",
            "lane",
            "due_at",
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": 60}},
    )

    pass_id: int = reference("passes.id", index=False, primary_key=True)
    google_class_id: int = reference("google_classes.id")
    object_id: str = Field(unique=True, max_length=140)
    inserted_at: datetime | None = moment(nullable=True)
    has_users: bool = Field(default=False)
    saved_at: datetime | None = moment(nullable=True)
    removed_at: datetime | None = moment(nullable=True)
    heard_until: datetime | None = moment(nullable=True)  # when the newest callback heard expires
    sent_revision: int = Field(default=0)
    sent_values: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    messages: int = Field(default=0)  # how many messages the object holds; Google takes ten
    lane: int = Field(default=0, sa_type=SmallInteger)
    due_at: datetime | None = moment(nullable=True)
    attempts: int = Field(default=0)
    attempt: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    error: str = Field(default="", max_length=500)
    created_at: datetime = moment()


class MessageState(enum.StrEnum):
    """What became of a message."""

    DUE = "due"
    SENT = "sent"  # the phone was told
    SILENT = "silent"  # it stands in the pass; the budget was spent
    REFUSED = "refused"


class GoogleMessage(SQLModel, table=True):
    """A message to one object or to all holders of a class, sent once by its own id.

    `body` is Google's Message without id and type. `wants_buzz` is a wish: the budget decides.
    `before` has the values (by field key) to which a message about changes tells the difference.
    """

    __tablename__ = "google_messages"
    __table_args__ = (
        CheckConstraint("(pass_id IS NULL) <> (google_class_id IS NULL)", name="one_addressee"),
        Index(
            "ix_google_messages_due",
            "lane",
            "due_at",
            postgresql_where=text("state = 'due'"),
        ),
    )

    id: int = primary_key()
    pass_id: int | None = reference("google_objects.pass_id", nullable=True)
    google_class_id: int | None = reference("google_classes.id", nullable=True)
    message_id: str = Field(unique=True, max_length=100)
    body: dict[str, Any] = Field(sa_type=JSONB)
    before: dict[str, Any] | None = Field(default=None, sa_type=JSONB, nullable=True)
    wants_buzz: bool = Field(default=True)
    state: MessageState = choice(MessageState, "google_message_state", default=MessageState.DUE)
    lane: int = Field(default=0, sa_type=SmallInteger)
    due_at: datetime = moment()
    attempts: int = Field(default=0)
    error: str = Field(default="", max_length=500)
    created_at: datetime = moment()


class BuzzKind(enum.StrEnum):
    """How a notification was asked for; all kinds share one allowance."""

    UPDATE = "update"  # notifyPreference on a PATCH
    MESSAGE = "message"
    ANNOUNCEMENT = "announcement"  # a message to the class: counts for each of its holders


class GoogleBuzz(SQLModel, table=True):
    """A notification that was asked for, or may have been: written before the request leaves.

    Google allows three per pass in 24 hours. `key` names the change or message, so that a retry
    takes no second one.
    """

    __tablename__ = "google_buzzes"
    __table_args__ = (
        UniqueConstraint("pass_id", "key"),
        UniqueConstraint("google_class_id", "key"),
        CheckConstraint("(pass_id IS NULL) <> (google_class_id IS NULL)", name="one_addressee"),
        Index("ix_google_buzzes_pass_id_at", "pass_id", "at"),
        Index("ix_google_buzzes_google_class_id_at", "google_class_id", "at"),
    )

    id: int = primary_key()
    pass_id: int | None = reference("google_objects.pass_id", nullable=True, index=False)
    google_class_id: int | None = reference("google_classes.id", nullable=True, index=False)
    kind: BuzzKind = choice(BuzzKind, "google_buzz_kind")
    key: str = Field(max_length=100)
    at: datetime = moment()


class Reconciliation(SQLModel, table=True):
    """One comparison of what Google holds with what it should hold.

    `counts` are those of `reconciling.report.Counts`; `differences` has the first of them in
    words, with the id of what they concern. `error` says why it did not come to its end; without
    `finished_at` it is still at work, or was killed.
    """

    __tablename__ = "google_reconciliations"

    id: int = primary_key()
    actor: str = Field(max_length=120)
    started_at: datetime = moment(index=True)
    finished_at: datetime | None = moment(nullable=True)
    counts: dict[str, int] = Field(default_factory=dict, sa_type=JSONB)
    differences: list[list[str]] = Field(default_factory=list, sa_type=JSONB)
    error: str = Field(default="", max_length=500)
