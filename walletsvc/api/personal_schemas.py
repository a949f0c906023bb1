"""What the calls about persons read and answer. Amounts are integers in minor units."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from walletsvc.api.schemas import CardRef, Input, Moment, Output, PersonOut, PublicId, check_reason

_Reason = Annotated[str, AfterValidator(check_reason)]


class NewMerge(Input):
    """Another row of the same person."""

    person: str = Field(
        min_length=1,
        max_length=64,
        description="The id of the other row: it is closed, and what it has comes over.",
    )
    reason: _Reason = Field(
        min_length=1, max_length=200, description="Why they are one; the history shows it."
    )


class NewParting(Input):
    """That they are two after all."""

    reason: _Reason = Field(
        min_length=1, max_length=200, description="Why they are two; the history shows it."
    )
    accept_shortfall: bool = Field(
        False,
        strict=True,
        description="Go on when fewer points are left than a card had brought: it gets the rest.",
    )


class NewErasure(Input):
    """Somebody who is to be taken out."""

    reason: _Reason = Field(
        min_length=1, max_length=200, description="Why, without names: it is kept."
    )
    forfeit: bool = Field(
        False, strict=True, description="Write off the points that are left on the person's cards."
    )


class MergedCard(Output):
    """A card that became part of another."""

    card: CardRef
    into: CardRef
    brought: int = Field(description="What came with it, in minor units of the programme.")
    given_back: int | None = Field(description="What it got when the merger was undone.")


class PersonMergeOut(Output):
    """Two rows that are one person, or were."""

    id: PublicId | None = Field(description="Null in a dry run.")
    kept: PersonOut
    merged: PersonOut = Field(description="Closed while the merger stands.")
    moved: list[CardRef] = Field(description="Cards of programmes where only one had one.")
    joined: list[MergedCard] = Field(description="Cards of programmes where both had one.")
    reason: str
    actor: str
    merged_at: Moment
    undone_at: Moment | None
    undone_by: str | None
    undone_reason: str
    exact: bool | None = Field(
        description="Of one that was undone: everything is as it was. If not, points had moved "
        "meanwhile, and what was bought before stays with the other card."
    )
    dry_run: bool


class PersonMergeList(Output):
    """All mergers of a person, the newest first."""

    items: list[PersonMergeOut]


class PersonExport(Output):
    """Everything about a person."""

    person: PublicId
    exported_at: Moment
    data: dict[str, list[dict[str, Any]]] = Field(
        description="Rows by kind, as they are stored; times in UTC, amounts in minor units. "
        "Codes, tokens and hashes are left out."
    )


class CardPoints(Output):
    """Points of a card."""

    card: str
    amount: int


class PersonErasure(Output):
    """What erasing did."""

    id: PublicId | None = Field(description="Null in a dry run.")
    person: PublicId
    reason: str
    actor: str
    erased_at: Moment
    forfeited: list[CardPoints]
    remaining: list[CardPoints] = Field(
        description="What the closed cards still have: below zero a debt, above it points that "
        "have ended and are written off in the night."
    )
    dry_run: bool
