"""What organisations ask and are told about each other."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from walletsvc.api.moments import MomentIn
from walletsvc.api.schemas import Input, Moment, Output, Page, PublicId, check_reason
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.ledger.models import UnitKind
from walletsvc.ledger.statements import Movement

Partner = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]
UnitCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9:_-]{1,64}$")]
_FROM = "The beginning of the period, RFC 3339; a `+` is written `%2B` in an address."
_UNTIL = "Its end, which is not part of it: the beginning of the next."
_WHOSE = "Whose points or certificates; of settlements, who paid. A short name."
_OWED = "In minor units: above zero you owe it, below zero it owes you."


class Period(Input):
    """Which statements."""

    since: MomentIn = Field(alias="from", description=_FROM)
    until: MomentIn = Field(alias="to", description=_UNTIL)
    counterparty: Partner | None = Field(
        None, alias="with", description="The other organisation's short name; all without it."
    )


class LinesOfPeriod(Page, Period):
    """Which lines."""

    unit: UnitCode | None = Field(None, description="Of this unit only, such as `RUB`.")


class NewSettlement(Input):
    """Another organisation paid what it owed."""

    debtor: Partner = Field(description="Who paid: its short name.")
    unit: UnitCode = Field(description="What was owed: `RUB`, or points such as `points:coffee`.")
    amount: int = Field(ge=1, le=MAX_AMOUNT, description="In minor units of the unit.")
    reason: Annotated[str, AfterValidator(check_reason)] = Field(
        min_length=1, max_length=200, description="Such as the payment order; both sides see it."
    )


class UnitOut(Output):
    """What is counted."""

    code: str = Field(description="A currency such as `RUB`, or `points:` and a programme.")
    kind: UnitKind
    scale: int = Field(description="Decimals: amounts are in 1/10^scale.")


class OrganisationOut(Output):
    """An organisation, as others see it."""

    slug: str
    name: str


class MovementOut(Output):
    """All of one kind in the period."""

    kind: Movement
    organisation: str = Field(description=_WHOSE)
    count: int
    amount: int = Field(description="By how much they changed what is owed.")


class StatementOut(Output):
    """What is owed between you and one other in one unit; the other sees it with minus signs."""

    counterparty: OrganisationOut
    unit: UnitOut
    opening: int = Field(description=_OWED)
    movements: list[MovementOut]
    closing: int = Field(description="The opening and all movements together.")


class StatementList(Output):
    """By counterparty and unit; those without anything to tell are left out."""

    model_config = ConfigDict(serialize_by_alias=True, extra="forbid", frozen=True)

    since: Moment = Field(alias="from")
    until: Moment = Field(alias="to")
    items: list[StatementOut]


class BranchRef(Output):
    """Where it happened."""

    id: PublicId
    name: str


class LineOut(Output):
    """A transaction that changed what is owed."""

    id: PublicId
    at: Moment
    counterparty: str = Field(description="Its short name.")
    unit: str
    kind: Movement
    organisation: str = Field(description=_WHOSE)
    branch: BranchRef | None
    amount: int = Field(description=_OWED)
    total: int = Field(description="What is owed to this counterparty in this unit after it.")
    reason: str = Field(description="Of a settlement or its undoing; empty otherwise.")


class LineList(Output):
    """Oldest first."""

    items: list[LineOut]
    next_cursor: str | None = Field(description="Null on the last piece.")


class SettlementOut(Output):
    """What was written down, or in a dry run would be."""

    id: PublicId | None = Field(description="Null in a dry run: nothing was written.")
    debtor: str
    creditor: str
    unit: str
    amount: int
    owed: int = Field(description="What the debtor still owes you, in minor units.")
    reason: str
    at: Moment
    dry_run: bool


class AcceptanceOut(Output):
    """What one organisation takes of what another issued."""

    issuer: OrganisationOut
    acceptor: OrganisationOut
    points: bool
    certificates: bool
    created_at: Moment


class AcceptanceList(Output):
    """Those in which you are the issuer or the acceptor."""

    items: list[AcceptanceOut]
