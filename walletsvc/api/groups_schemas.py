"""What the calls about groups of cards read and answer. Amounts are integers in minor units."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from walletsvc.api.schemas import (
    CardRef,
    Input,
    Moment,
    Output,
    PersonOut,
    ProgrammeOut,
    PublicId,
    TransactionOut,
    check_reason,
)
from walletsvc.core.money import MAX_AMOUNT


class NewGroupMembership(Input):
    """The proof that lets a card in: a holder's code, or the word of staff with a reason."""

    code: str | None = Field(
        None, max_length=64, description="The code of an invitation, as the holder got it."
    )
    card_id: str | None = Field(
        None,
        max_length=64,
        description="Or a card of the group, or the one to found it with; needs `reason`, and a "
        "key with the scope `groups:approve`.",
    )
    reason: Annotated[str, AfterValidator(check_reason)] | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Why the card is let in without a code; the history shows it.",
    )

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if (self.code is None) == (self.card_id is None):
            raise PydanticCustomError("required", "Must hold either code or card_id")
        if (self.card_id is None) != (self.reason is None):
            raise PydanticCustomError("required", "Must hold reason with card_id, and only then")
        return self


class LeavingGroup(Input):
    """What a card takes along."""

    take: int = Field(
        0,
        ge=0,
        le=MAX_AMOUNT,
        strict=True,
        description="The agreed part of the shared balance, in minor units of the programme.",
    )


class GroupInvitationOut(Output):
    """Shown this once: the code lets one card share the holder's points."""

    code: str
    expires_at: Moment


class GroupJoined(Output):
    """What joining did, or in a dry run would do."""

    group: str | None = Field(description="Null in a dry run that would found the group.")
    brought: int = Field(description="What the card's account had; below zero is a debt.")
    balance: int = Field(description="What is shared from now on.")
    transaction: TransactionOut | None = Field(description="Null when nothing had to move.")
    dry_run: bool


class StayingPoints(Output):
    """Points that are promised for later."""

    amount: int
    available_from: Moment
    expires_at: Moment | None
    card: str | None = Field(description="The card that earned them, when one did.")


class GroupLeft(Output):
    """What leaving did, or in a dry run would do."""

    taken: int
    balance: int = Field(description="What the card has for itself from now on.")
    stays: list[StayingPoints] = Field(
        description="What was promised for later and stays with the group, soonest first; also "
        "what the card that leaves has earned."
    )
    group_closed: bool = Field(description="One card remained: the group ended with this.")
    transaction: TransactionOut | None = Field(description="Null when nothing had to move.")
    dry_run: bool


class GroupMemberOut(Output):
    """A card's time in the group."""

    card: CardRef
    holder: PersonOut
    proof: Literal["founder", "invitation", "phone", "staff"] = Field(
        description="Why it was let in; `phone`: who joined proved the phone of a member."
    )
    reason: str
    brought: int = Field(description="What it had when it joined.")
    earned: int = Field(description="What it got for the group since, less what was undone.")
    spent: int = Field(description="What it spent of the group's since, less what was undone.")
    joined_at: Moment
    left_at: Moment | None
    left_with: int | None = Field(description="What it took along.")


class GroupOut(Output):
    """Cards that share an account, and those that did."""

    id: PublicId
    programme: ProgrammeOut
    balance: int = Field(description="In minor units of the programme.")
    members: list[GroupMemberOut] = Field(description="In the order in which they joined.")
    created_at: Moment
    closed_at: Moment | None = Field(
        description="Since then the balance is that of the last card that remained."
    )
