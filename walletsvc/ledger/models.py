"""The ledger's tables. Amounts are integers in the unit's minor unit."""

from __future__ import annotations

import enum
from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import choice, minor_units, moment, primary_key, reference


class UnitKind(enum.StrEnum):
    """What is counted."""

    CURRENCY = "currency"
    POINTS = "points"


class AccountKind(enum.StrEnum):
    """Whose value it is. System accounts are never locked and store no balance."""

    CUSTOMER = "customer"
    CERTIFICATE = "certificate"
    SYSTEM = "system"


class SystemCode(enum.StrEnum):
    """The other side of every customer entry; one account per organisation and unit.

    `inter-organisation` has one account per counterparty: above zero is what the organisation
    owes it, below zero what it is owed; the counterparty's own account mirrors it.
    """

    ISSUANCE = "issuance"
    REDEMPTION = "redemption"
    BREAKAGE = "breakage"
    PENDING = "pending"  # accrued, not yet available
    CASH_CLEARING = "cash-clearing"
    INTER_ORGANISATION = "inter-organisation"


class TransactionType(enum.StrEnum):
    """Why value moved."""

    CREDIT = "credit"
    DEBIT = "debit"
    REVERSAL = "reversal"
    ACCRUAL = "accrual"
    MATURITY = "maturity"
    EXPIRY = "expiry"
    CAPTURE = "capture"
    TRANSFER = "transfer"  # a part of one account becomes another's
    MERGE = "merge"  # all of one account becomes another's, which stands in for it from now on
    SETTLEMENT = "settlement"  # one organisation paid another what it owed


class HoldState(enum.StrEnum):
    """Life of a hold; all but `active` are final."""

    ACTIVE = "active"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"


class Unit(SQLModel, table=True):
    """A currency (`RUB`) or the points of one programme (`points:<slug>`)."""

    __tablename__ = "ledger_units"
    __table_args__ = (CheckConstraint("scale IN (0, 2)", name="scale_known"),)

    id: int = primary_key()
    code: str = Field(unique=True, max_length=64)
    kind: UnitKind = choice(UnitKind, "unit_kind")
    scale: int = Field(default=0)


class Account(SQLModel, table=True):
    """What one holder has of one unit; the row that is locked to change it.

    `held` is the sum of active holds: part of the balance, but spoken for. An account that was
    merged into another is closed, and what referred to it now means that other.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("balance >= min_balance", name="balance_at_least_minimum"),
        CheckConstraint("held >= 0", name="held_not_negative"),
        CheckConstraint(
            "CASE WHEN kind = 'system' THEN balance IS NULL AND code IS NOT NULL"
            " ELSE balance IS NOT NULL AND code IS NULL END",
            name="system_accounts_store_no_balance",
        ),
        Index(
            "uq_accounts_system",
            "organisation_id",
            "unit_id",
            "code",
            text("coalesce(counterparty_id, 0)"),
            unique=True,
            postgresql_where=text("kind = 'system'"),
        ),
        CheckConstraint(
            "(counterparty_id IS NOT NULL) <= (kind = 'system' AND code = 'inter-organisation')",
            name="counterparty_only_between_organisations",
        ),
        CheckConstraint(
            "merged_into_id IS NULL OR (closed_at IS NOT NULL AND balance = 0 AND held = 0)",
            name="merged_is_empty",
        ),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id", index=False)
    unit_id: int = reference("ledger_units.id", index=False)
    kind: AccountKind = choice(AccountKind, "account_kind")
    code: SystemCode | None = choice(SystemCode, "system_code", default=None, nullable=True)
    counterparty_id: int | None = reference("organisations.id", nullable=True, index=False)
    balance: int | None = minor_units(default=None, nullable=True)
    held: int = minor_units(default=0)
    min_balance: int = minor_units(default=0)
    created_at: datetime = moment()
    closed_at: datetime | None = moment(nullable=True)
    merged_into_id: int | None = reference("accounts.id", nullable=True, index=False)


class Transaction(SQLModel, table=True):
    """One movement of value, immutable (the database refuses changes).

    `card_id` says which of the cards that share an account acted; the ledger only carries it.
    """

    __tablename__ = "ledger_transactions"
    __table_args__ = (
        Index("ix_ledger_transactions_at", "at"),
        Index(
            "ix_ledger_transactions_undoes_id",
            "undoes_id",
            postgresql_where=text("undoes_id IS NOT NULL"),
        ),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id", index=False)
    type: TransactionType = choice(TransactionType, "transaction_type")
    actor: str = Field(max_length=120)
    branch_id: int | None = reference("branches.id", nullable=True, index=False)
    card_id: int | None = reference("cards.id", nullable=True, index=False)
    reason: str = Field(default="", max_length=200)
    undoes_id: int | None = reference("ledger_transactions.id", nullable=True, index=False)
    at: datetime = moment()


class Entry(SQLModel, table=True):
    """One side of a transaction. `balance_after` is kept for accounts that store a balance."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount_not_zero"),
        Index("ix_ledger_entries_account_id", "account_id", "id"),
    )

    id: int = primary_key()
    transaction_id: int = reference("ledger_transactions.id")
    account_id: int = reference("accounts.id", index=False)
    unit_id: int = reference("ledger_units.id", index=False)
    amount: int = minor_units()
    balance_after: int | None = minor_units(default=None, nullable=True)


class Lot(SQLModel, table=True):
    """Points that came together: when they may be spent, when they end, what is left.

    A lot that is not yet available has no `matured_id`; it joins the balance with the
    maturity transaction. `remaining` is `original` plus the lot's movements. A lot that left
    with a part of a balance keeps its dates, and in `origin_id` the lot it was part of.
    """

    __tablename__ = "lots"
    __table_args__ = (
        CheckConstraint(
            "original > 0 AND remaining BETWEEN 0 AND original", name="remaining_range"
        ),
        CheckConstraint("held BETWEEN 0 AND remaining", name="held_range"),
        CheckConstraint("expires_at > available_from", name="expires_after_available"),
        Index(
            "ix_lots_spendable",
            "account_id",
            "expires_at",
            "id",
            postgresql_where=text("remaining > 0"),
        ),
        Index("ix_lots_used_up", "account_id", postgresql_where=text("remaining = 0")),
        Index(
            "ix_lots_maturing",
            "available_from",
            postgresql_where=text("matured_id IS NULL AND remaining > 0"),
        ),
        Index(
            "ix_lots_expiring",
            "expires_at",
            postgresql_where=text("remaining > 0 AND expires_at IS NOT NULL"),
        ),
    )

    id: int = primary_key()
    account_id: int = reference("accounts.id", index=False)
    transaction_id: int = reference("ledger_transactions.id")
    origin_id: int | None = reference("lots.id", nullable=True, index=False)
    matured_id: int | None = reference("ledger_transactions.id", nullable=True, index=False)
    original: int = minor_units()
    remaining: int = minor_units()
    held: int = minor_units(default=0)
    source: str = Field(max_length=40)
    promotional: bool = Field(default=False)
    earned_at: datetime = moment()
    available_from: datetime = moment()
    expires_at: datetime | None = moment(nullable=True)


class LotMovement(SQLModel, table=True):
    """Which transaction took from or gave back to which lot; the chain behind a balance."""

    __tablename__ = "lot_movements"
    __table_args__ = (
        UniqueConstraint("transaction_id", "lot_id"),
        CheckConstraint("amount <> 0", name="amount_not_zero"),
    )

    id: int = primary_key()
    transaction_id: int = reference("ledger_transactions.id", index=False)
    lot_id: int = reference("lots.id")
    amount: int = minor_units()


class Hold(SQLModel, table=True):
    """Value reserved for a while; `lots` of points reserved with it are in `hold_lots`.

    What is captured goes to the organisation that reserved it; the rest is free again.
    """

    __tablename__ = "holds"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("captured BETWEEN 0 AND amount", name="captured_range"),
        CheckConstraint("expires_at > created_at", name="expires_after_created"),
        CheckConstraint(
            "(state = 'active') = (closed_at IS NULL)"
            " AND (state = 'captured') = (transaction_id IS NOT NULL)",
            name="state_told",
        ),
        Index("ix_holds_due", "expires_at", postgresql_where=text("state = 'active'")),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    account_id: int = reference("accounts.id")
    state: HoldState = choice(HoldState, "hold_state", default=HoldState.ACTIVE)
    amount: int = minor_units()
    captured: int = minor_units(default=0)
    acceptor_id: int = reference("organisations.id", index=False)
    branch_id: int | None = reference("branches.id", nullable=True, index=False)
    card_id: int | None = reference("cards.id", nullable=True, index=False)
    transaction_id: int | None = reference("ledger_transactions.id", nullable=True, index=False)
    actor: str = Field(max_length=120)
    reason: str = Field(default="", max_length=200)
    created_at: datetime = moment()
    expires_at: datetime = moment()
    closed_at: datetime | None = moment(nullable=True)


class HoldLot(SQLModel, table=True):
    """How much of which lot a hold reserves; such a lot does not expire until released."""

    __tablename__ = "hold_lots"
    __table_args__ = (CheckConstraint("amount > 0", name="amount_positive"),)

    hold_id: int = reference("holds.id", index=False, primary_key=True)
    lot_id: int = reference("lots.id", primary_key=True)
    amount: int = minor_units()


class ClearingDay(SQLModel, table=True):
    """What some entries of an account between organisations come to on one day (UTC).

    A job counts them, all up to an entry (`through_id`) that the run before did not count: a day
    has several rows when entries of it were written later. Rows are only added.
    """

    __tablename__ = "clearing_days"

    account_id: int = reference("accounts.id", index=False, primary_key=True)
    through_id: int = Field(primary_key=True, sa_type=BigInteger)
    day: date = Field(primary_key=True)
    amount: int = minor_units()


class ClearingMark(SQLModel, table=True):
    """How far `clearing_days` go: all entries up to `entry_id` are in them. There is one row.

    `next_entry_id` is how far they will go once no transaction up to `next_xid` is open any more.
    """

    __tablename__ = "clearing_mark"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: int = Field(default=1, primary_key=True, sa_type=SmallInteger)
    entry_id: int = Field(default=0, sa_type=BigInteger)
    next_entry_id: int = Field(default=0, sa_type=BigInteger)
    next_xid: int = Field(default=0, sa_type=BigInteger)


class Verification(SQLModel, table=True):
    """One look through the whole ledger: when, how much was read, and what did not agree.

    `found` counts all differences. `differences` has the first of them, each with the id of the
    organisation that it concerns.
    """

    __tablename__ = "ledger_verifications"

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    actor: str = Field(max_length=120)
    asked_at: datetime = moment()
    finished_at: datetime | None = moment(nullable=True)
    entries: int = Field(default=0, sa_type=BigInteger)
    found: int = Field(default=0, sa_type=BigInteger)
    differences: list[tuple[int, str]] = Field(default_factory=list, sa_type=JSONB)
