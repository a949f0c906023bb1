"""What the calls about rehearsals read and answer. Money and points are in minor units."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from walletsvc.api.schemas import BulkJobOut, Input, Moment, Output, PublicId

_Id = Annotated[str, Field(max_length=40)]


class NewRehearsal(Input):
    """On which purchases the draft is tried: those of whole local days of the programme."""

    since: date = Field(alias="from", description="The first day.")
    until: date = Field(description="The last day, that day included.")
    branches: list[_Id] = Field(
        [],
        max_length=1000,
        description="Count only purchases there; all of them when empty. Those elsewhere still "
        "count towards tiers.",
    )


class RehearsedSums(Output):
    """Under the rules of the time (`before`), and under the draft (`after`)."""

    purchases: int
    earned_before: int = Field(description="Points.")
    earned_after: int
    stamps_before: int
    stamps_after: int
    discount_before: int = Field(description="Money taken off bills.")
    discount_after: int
    spent_before: int = Field(description="Points that paid.")
    spent_after: int = Field(description="As many of them as the draft lets pay.")
    cost_before: int = Field(description="Points at their value and discounts, in money.")
    cost_after: int


class RehearsedBranch(RehearsedSums):
    """The sums of one branch."""

    branch: str | None = Field(description="Null: sold without saying where.")
    name: str | None


class RehearsedRule(Output):
    """What one rule brought, rounded to whole minor units."""

    rule: Literal["base", "promotion", "rounding", "cap", "other"]
    promotion: str | None = Field(description="The promotion's id.")
    name: dict[str, str] | None = Field(description="What it is called, by language.")
    unit: Literal["points", "money", "stamps"] = Field(
        description="`money` is a discount, taken off."
    )
    before: int
    after: int


class RehearsedCard(Output):
    """A card that gains or loses."""

    card_id: str
    gain: int = Field(description="Money; stamps in a stamps programme. Below zero it loses.")
    purchases: int


class RehearsalResult(Output):
    """What the draft would have cost, who gains, who loses."""

    totals: RehearsedSums
    cards: int = Field(description="With a purchase that was counted.")
    winners: int
    losers: int
    won: int = Field(description="What all winners gain together, as `gain`.")
    lost: int
    liability: int = Field(description="How many more points would be owed; below zero: fewer.")
    liability_money: int = Field(description="What these are worth by the draft.")
    branches: list[RehearsedBranch] = Field(description="Most purchases first.")
    rules: list[RehearsedRule]
    top_winners: list[RehearsedCard] = Field(description="The ten that gain most.")
    top_losers: list[RehearsedCard]


class RehearsalSummary(Output):
    """A rehearsal and how far it is."""

    model_config = ConfigDict(serialize_by_alias=True, extra="forbid", frozen=True)

    id: PublicId
    rules_version: int = Field(description="The number of the version that it tries.")
    of_older_draft: bool = Field(
        description="The draft was saved with other rules since: this is about the former ones."
    )
    since: date = Field(alias="from")
    until: date
    branches: list[str]
    job: BulkJobOut = Field(description="Pause and resume it as any bulk job.")
    actor: str
    created_at: Moment


class RehearsalOut(RehearsalSummary):
    """A rehearsal and what it found."""

    result: RehearsalResult | None = Field(description="Null until its job is done.")


class RehearsalList(Output):
    """Newest first."""

    items: list[RehearsalSummary]
    next_cursor: str | None = Field(description="Null on the last piece.")
