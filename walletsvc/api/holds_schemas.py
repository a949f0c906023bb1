"""Holds and reversals as the REST interface reads and answers them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from walletsvc.api.schemas import Input, Moment, Output, Page, PublicId, Reason, TransactionOut
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.ledger.holds import LONGEST, SHORTEST
from walletsvc.ledger.models import HoldState

_Id = Annotated[str, Field(max_length=40)]
_Amount = Annotated[int, Field(ge=1, le=MAX_AMOUNT)]


class ActiveHoldOut(Output):
    """What is reserved of a balance, and until when."""

    id: PublicId
    amount: int
    expires_at: Moment
    branch: str | None = Field(description="Public id of the branch, if it was made in one.")


class NewHold(Input):
    """Value to be reserved: of a card or of a certificate."""

    card_id: _Id | None = Field(None, description="The card.")
    certificate_id: _Id | None = Field(None, description="Or the certificate.")
    amount: _Amount = Field(description="In minor units of the programme.")
    seconds: int = Field(
        ge=int(SHORTEST.total_seconds()),
        le=int(LONGEST.total_seconds()),
        description="For how long. Then the hold is over by itself.",
    )
    reason: Reason = Field(
        min_length=1,
        max_length=200,
        description="Why; the history shows it when the hold is captured.",
    )
    presentation: _Id | None = Field(
        None,
        description="Of a card: as scanning its code of the moment answered. Needed where the "
        "programme asks for it.",
    )
    proof: _Id | None = Field(
        None,
        description="In its place: a proof of the holder's phone for the purpose `spend`.",
    )


class NewCapture(Input):
    """How much of a hold is taken."""

    amount: _Amount | None = Field(
        None, description="Up to what is held, in minor units; all of it when left out."
    )


class HoldOut(Output):
    """Value that is reserved, or was."""

    id: PublicId | None = Field(description="Null in a dry run: nothing was reserved.")
    state: HoldState = Field(
        description="Only an `active` hold can be captured or voided. It is `expired` from "
        "`expires_at` on."
    )
    amount: int = Field(description="What was reserved, in minor units of the programme.")
    captured: int = Field(description="What was taken of it.")
    card: str | None = Field(description="The card, if it is one's.")
    certificate: str | None = Field(description="The certificate, if it is one's.")
    branch: str | None = Field(description="Public id of the branch that reserved it, if one did.")
    transaction: str | None = Field(description="The transaction that took it.")
    reason: str
    actor: str = Field(description="Who reserved it: kind and public id.")
    created_at: Moment
    expires_at: Moment
    closed_at: Moment | None = Field(description="When it was captured, voided, or ran out.")


class OpenHolds(Page):
    """Whose open holds."""

    card_id: _Id | None = Field(None, description="Only those of this card.")
    certificate_id: _Id | None = Field(None, description="Or of this certificate.")


class HoldList(Output):
    """Newest first."""

    items: list[HoldOut]
    next_cursor: str | None = Field(description="Null on the last piece.")


class Held(Output):
    """What was reserved, or in a dry run would be."""

    hold: HoldOut
    available: int = Field(description="What else may be spent, in minor units.")
    dry_run: bool


class Captured(Output):
    """What was taken, or in a dry run would be."""

    hold: HoldOut
    transaction: TransactionOut
    balance: int = Field(description="Afterwards, in minor units of the programme.")
    dry_run: bool


class NewReversal(Input):
    """How much of a transaction is undone, and why."""

    amount: _Amount | None = Field(
        None, description="Up to what is left of it, in minor units; all of that when left out."
    )
    reason: Reason = Field(min_length=1, max_length=200, description="Why; the history shows it.")


class Reversed(Output):
    """What was undone, or in a dry run would be."""

    transaction: TransactionOut
    balance: int = Field(description="Afterwards, in minor units of the programme.")
    reversible: int = Field(description="How much of the original is left to undo.")
    dry_run: bool
