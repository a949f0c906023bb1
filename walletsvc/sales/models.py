"""Purchases and refunds as they were reported, and the ledger transactions they caused."""

from __future__ import annotations

import enum
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Index, Numeric, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import choice, minor_units, moment, primary_key, reference


class PurchaseState(enum.StrEnum):
    """What became of a purchase."""

    RECORDED = "recorded"
    PARTLY_REFUNDED = "partly_refunded"
    REFUNDED = "refunded"
    CORRECTED = "corrected"  # undone as a whole; another one that names it counts instead


class Purchase(SQLModel, table=True):
    """A sale, where it happened (`at`) and when it became known (`recorded_at`).

    Money in minor units of `currency`, points in those of the programme. `request` is what was
    sent, so that the same report is recognised; `outcome` what the rules made of it; `receipt`
    the names and figures of that moment.
    """

    __tablename__ = "purchases"
    __table_args__ = (
        UniqueConstraint("organisation_id", "source", "external_id"),
        CheckConstraint("total >= 0 AND discount BETWEEN 0 AND total", name="discount_range"),
        CheckConstraint(
            "paid_points_money + paid_certificates + paid_money = total - discount",
            name="paid_in_full",
        ),
        Index("ix_purchases_card_id_id", "card_id", "id"),
        Index("ix_purchases_card_id_at", "card_id", "at"),
        Index("ix_purchases_organisation_id_id", "organisation_id", "id"),
        Index(
            "ix_purchases_corrects_id",
            "corrects_id",
            postgresql_where=text("corrects_id IS NOT NULL"),
        ),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id", index=False)
    branch_id: int | None = reference("branches.id", nullable=True, index=False)
    channel: str | None = Field(default=None, max_length=40)
    card_id: int | None = reference("cards.id", nullable=True, index=False)
    account_id: int | None = reference("accounts.id", nullable=True, index=False)
    programme_id: int | None = reference("programmes.id", nullable=True, index=False)
    source: str = Field(max_length=40)
    external_id: str = Field(max_length=80)
    at: datetime = moment()
    recorded_at: datetime = moment()
    currency: str = Field(max_length=3)
    total: int = minor_units()
    discount: int = minor_units()
    paid_points: int = minor_units()
    paid_points_money: int = minor_units()
    paid_certificates: int = minor_units()
    paid_money: int = minor_units()
    earned: int = minor_units()
    stamps: int = minor_units()
    tier_amount: int = minor_units()
    tier_before: str | None = Field(default=None, max_length=40)
    tier_after: str | None = Field(default=None, max_length=40)
    rule_version_id: int | None = reference("rule_versions.id", nullable=True, index=False)
    state: PurchaseState = choice(PurchaseState, "purchase_state", default=PurchaseState.RECORDED)
    corrects_id: int | None = reference("purchases.id", nullable=True, index=False)
    request: dict[str, Any] = Field(sa_type=JSONB)
    outcome: dict[str, Any] = Field(sa_type=JSONB)
    receipt: dict[str, Any] = Field(sa_type=JSONB)
    actor: str = Field(max_length=120)


class PurchaseLine(SQLModel, table=True):
    """All of one item on a bill: how it was paid, what it earned, what of it came back."""

    __tablename__ = "purchase_lines"
    __table_args__ = (
        CheckConstraint(
            "returned_quantity BETWEEN 0 AND quantity"
            " AND returned_sum BETWEEN 0 AND sum - discount",
            name="returned_range",
        ),
    )

    purchase_id: int = reference("purchases.id", index=False, primary_key=True)
    position: int = Field(primary_key=True)
    item: str | None = Field(default=None, max_length=64)
    item_group: str | None = Field(default=None, max_length=64)
    name: str | None = Field(default=None, max_length=80)
    quantity: Decimal = Field(sa_type=Numeric(18, 3))
    sum: int = minor_units()
    discount: int = minor_units()
    earned: int = minor_units()
    points_paid_money: int = minor_units()
    certificates_money: int = minor_units()
    returned_quantity: Decimal = Field(
        default=Decimal(0),
        sa_type=Numeric(18, 3),
    )
    returned_sum: int = minor_units(default=0)


class PartKind(enum.StrEnum):
    """What a ledger transaction of a purchase is."""

    POINTS = "points"
    CERTIFICATE = "certificate"
    EARN = "earn"
    STAMPS = "stamps"


class PurchasePart(SQLModel, table=True):
    """A ledger transaction that a purchase caused; `amount` above zero."""

    __tablename__ = "purchase_parts"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_positive"),
        Index(
            "ix_purchase_parts_certificate_id",
            "certificate_id",
            postgresql_where=text("certificate_id IS NOT NULL"),
        ),
    )

    purchase_id: int = reference("purchases.id", index=False, primary_key=True)
    position: int = Field(primary_key=True)
    kind: PartKind = choice(PartKind, "purchase_part_kind")
    transaction_id: int = reference("ledger_transactions.id", unique=True, index=False)
    amount: int = minor_units()
    certificate_id: int | None = reference("certificates.id", nullable=True, index=False)


class RefundState(enum.StrEnum):
    """A refund that came before its purchase waits for it."""

    DONE = "done"
    WAITING = "waiting"
    REFUSED = "refused"  # the purchase came, and there was less to return


class Refund(SQLModel, table=True):
    """What came back of a purchase: `request` says what, `outcome` its share of everything.

    `taken_back` of what had been earned, `shortfall` what could not be taken, for it was spent.
    Points that come back later make up for it: then it becomes `taken_back`, and their refund's
    outcome says so in `recovered`.
    """

    __tablename__ = "refunds"
    __table_args__ = (
        UniqueConstraint("organisation_id", "source", "external_id"),
        CheckConstraint(
            "purchase_id IS NOT NULL OR state = 'waiting'", name="purchase_known_when_done"
        ),
        Index(
            "ix_refunds_waiting",
            "organisation_id",
            "purchase_source",
            "purchase_external_id",
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id", index=False)
    branch_id: int | None = reference("branches.id", nullable=True, index=False)
    source: str = Field(max_length=40)
    external_id: str = Field(max_length=80)
    purchase_id: int | None = reference("purchases.id", nullable=True)
    purchase_source: str = Field(max_length=40)
    purchase_external_id: str = Field(max_length=80)
    at: datetime = moment()
    recorded_at: datetime = moment()
    state: RefundState = choice(RefundState, "refund_state")
    request: dict[str, Any] = Field(sa_type=JSONB)
    outcome: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    money: int = minor_units(default=0)
    points_returned: int = minor_units(default=0)
    certificates_returned: int = minor_units(default=0)
    taken_back: int = minor_units(default=0)
    shortfall: int = minor_units(default=0)
    actor: str = Field(max_length=120)
