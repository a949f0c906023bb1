"""What an account's purchases come to, the tier it is in, and every change of it."""

from __future__ import annotations

import enum
from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Index
from sqlmodel import Field, SQLModel

from walletsvc.storage.columns import choice, minor_units, moment, primary_key, reference


class Turnover(SQLModel, table=True):
    """What an account bought at one organisation on one day, net of refunds.

    `amount` is in minor units of the programme's currency, `day` is local to the programme. A
    refund counts on the day of its purchase, so that it leaves a rolling window with it.
    """

    __tablename__ = "turnover"
    # What leaves the rolling windows of a night is found by its day.
    __table_args__ = (Index("ix_turnover_day", "day"),)

    account_id: int = reference("accounts.id", index=False, primary_key=True)
    organisation_id: int = reference("organisations.id", index=False, primary_key=True)
    day: date = Field(primary_key=True)
    amount: int = minor_units()


class BroughtTurnover(SQLModel, table=True):
    """What an account had bought before its organisation kept its cards here; no purchase tells
    of it. It is counted in `turnover` on `day`, and is kept for whoever recounts that."""

    __tablename__ = "brought_turnover"
    __table_args__ = (CheckConstraint("amount > 0", name="amount_positive"),)

    id: int = primary_key()
    account_id: int = reference("accounts.id")
    organisation_id: int = reference("organisations.id", index=False)
    day: date = Field()
    amount: int = minor_units()


class AccountTier(SQLModel, table=True):
    """The tier of an account; one without a row is in the first tier and has bought nothing.

    `base` is the tier base under the published rules as of the local day `base_on`, kept so that
    passes can say what is missing to the next tier. `checked_on` is the local day of the last
    check for moving down, or that on which the row began.
    """

    __tablename__ = "account_tiers"
    __table_args__ = (Index("ix_account_tiers_checked", "programme_id", "checked_on"),)

    account_id: int = reference("accounts.id", index=False, primary_key=True)
    programme_id: int = reference("programmes.id", index=False)
    tier: str | None = Field(default=None, max_length=40)
    base: int = minor_units(default=0)
    base_on: date = Field()
    since: datetime = moment()
    checked_on: date = Field()


class TierCause(enum.StrEnum):
    """Why a tier changed."""

    PURCHASE = "purchase"
    RULES = "rules"  # other rules were published
    SCHEDULE = "schedule"  # the regular check
    MERGE = "merge"  # the account of a card that joined a group came in
    IMPORT = "import"  # it came with a list of cards that were kept elsewhere, or went with it
    LEAVE = "leave"  # a card that left a group took the group's tier along


class TierChange(SQLModel, table=True):
    """A change of an account's tier; None where the rules had no tiers."""

    __tablename__ = "tier_changes"
    __table_args__ = (Index("ix_tier_changes_account_id_id", "account_id", "id"),)

    id: int = primary_key()
    account_id: int = reference("accounts.id", index=False)
    from_tier: str | None = Field(default=None, max_length=40)
    to_tier: str | None = Field(default=None, max_length=40)
    at: datetime = moment()
    cause: TierCause = choice(TierCause, "tier_cause")
    purchase_id: int | None = Field(default=None, sa_type=BigInteger)
