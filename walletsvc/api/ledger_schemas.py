"""What the REST interface answers about the ledger. Amounts are integers in minor units."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from walletsvc.api.holds_schemas import ActiveHoldOut
from walletsvc.api.schemas import Input, Moment, Output, PublicId, TransactionOut

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)


def _moment(text: object) -> object:
    if isinstance(text, str) and not re.match(r"\d{4}-\d\d-\d\dT", text):
        raise PydanticCustomError("invalid_format", "Must be a moment, as in 2026-10-31T21:00:00Z")
    return text


def _with_offset(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise PydanticCustomError("invalid_format", "Must have an offset, or end in Z")
    if moment < _EARLIEST:
        raise PydanticCustomError("out_of_range", "Must not lie before the year 2000")
    return moment


class At(Input):
    """The moment asked for."""

    at: Annotated[datetime, BeforeValidator(_moment), AfterValidator(_with_offset)] | None = Field(
        None, description="What was owed then; RFC 3339 with its offset. Now if not given."
    )


class LiabilityMonth(Output):
    """Points that end in one month."""

    month: str | None = Field(
        description="`YYYY-MM` of their last day in the programme's zone; null: without end."
    )
    available: int
    future: int = Field(description="Earned, but not yet part of any balance.")


class PointsLiability(Output):
    """Points owed in one unit."""

    unit: str
    scale: int = Field(description="Decimal places of the unit.")
    months: list[LiabilityMonth]
    available: int
    future: int
    debts: int = Field(description="What holders with a balance below zero owe.")
    balance: int = Field(description="`available` less `debts`: the sum of all balances.")


class CertificateLiability(Output):
    """Money owed on gift certificates."""

    currency: str
    scale: int
    owed: int
    certificates: int = Field(description="How many have money on them.")


class LiabilityOut(Output):
    """What an organisation owes."""

    at: Moment
    points: list[PointsLiability]
    certificates: list[CertificateLiability]


class LotOut(Output):
    """Points that came together and are not used up."""

    transaction: PublicId
    reason: str
    source: str
    promotional: bool
    original: int
    remaining: int
    held: int
    earned_at: Moment
    available_from: Moment
    expires_at: Moment | None


class ExplanationOut(Output):
    """Why a balance is what it is."""

    account: PublicId
    unit: str
    scale: int
    balance: int
    held: int
    available: int = Field(description="May be spent now without going into debt.")
    debt: int
    lots: list[LotOut] = Field(description="In the order in which they pay.")
    future: list[LotOut] = Field(description="Earned, and available from their own day on.")
    holds: list[ActiveHoldOut] = Field(description="What is reserved, oldest first.")
    transactions: list[TransactionOut] = Field(description="The last ten, newest first.")


class VerificationOut(Output):
    """One look through the whole ledger."""

    id: PublicId
    state: Literal["running", "done"]
    asked_at: Moment
    finished_at: Moment | None
    entries: int = Field(description="How many there were, of all organisations.")
    differences: list[str] = Field(
        description="What does not agree in your organisation's part, one sentence each."
    )
    clean: bool | None = Field(description="Nothing differs in your part; null while running.")


class VerificationList(Output):
    """A piece of the list of verifications."""

    items: list[VerificationOut]
    next_cursor: str | None


def month(day: date | None) -> str | None:
    """A month in these words."""
    return None if day is None else f"{day:%Y-%m}"
