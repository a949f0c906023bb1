"""What the calls about programmes' rules read and answer. Money is in minor units."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from walletsvc.api.schemas import MAX_PAGE, Input, Moment, Output
from walletsvc.core.errors import InputError
from walletsvc.merchants.rules import check_text
from walletsvc.programmes.models import CodePolicy, ProgrammeKind, RuleState
from walletsvc.programmes.rulebook.schemas import RuleBook


def check_note(text: str) -> str:
    """A note without needless spaces; raises the schema's error for what cannot be shown."""
    try:
        return check_text("note", text, 200, required=False)
    except InputError as error:
        raise PydanticCustomError(
            "invalid_characters", "Must not hold control characters"
        ) from error


class NewDraft(Input):
    """A rule book to be kept as the draft."""

    rules: RuleBook = Field(description="The whole book; see the manual on rules.")
    note: Annotated[str, AfterValidator(check_note)] = Field(
        "", max_length=200, description="What is new, for whoever reads the list."
    )


class NewTierPreview(Input):
    """Which rules to try, and which piece of the list of cards to answer."""

    rules: RuleBook | None = Field(None, description="Without them: the draft.")
    cursor: str | None = Field(
        None, max_length=200, description="`next_cursor` of the piece before."
    )
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE, strict=True)] = Field(
        50, description="At most so many cards."
    )


class ProgrammeSummary(Output):
    """A programme and the state of its rules."""

    slug: str
    name: str
    kind: ProgrammeKind
    currency: str
    scale: int = Field(description="Decimals of what its accounts count.")
    time_zone: str
    code_policy: CodePolicy = Field(
        description="What a card shows: `static`, its number; `rolling`, a code that an Apple "
        "pass changes after each use, elsewhere one by the time; `time_based`, a code by the time "
        "wherever there can be one."
    )
    rules: int | None = Field(
        description="The number of the published version. Null: nothing is earned."
    )
    draft: int | None = Field(description="The number of the draft.")
    closed_at: Moment | None


class ProgrammeChange(Input):
    """What is to be different about a programme."""

    code_policy: CodePolicy = Field(
        description="With anything but `static`, discounts and spending need a code of the moment "
        "or a proof of the holder's phone; the number still identifies and earns."
    )


class ProgrammeChanged(Output):
    """The programme as it is now."""

    programme: ProgrammeSummary
    job: str | None = Field(
        description="The bulk job that changes the passes; null when nothing is different."
    )


class ProgrammeList(Output):
    """In the order in which they were founded."""

    items: list[ProgrammeSummary]
    next_cursor: str | None = Field(description="Null on the last piece.")


class RuleVersionSummary(Output):
    """A version of a programme's rules without the rules themselves."""

    number: int
    state: RuleState
    note: str
    actor: str = Field(description="Who saved it last, or published it: kind and public id.")
    created_at: Moment
    updated_at: Moment = Field(description="When the draft was last saved.")
    published_at: Moment | None
    retired_at: Moment | None


class RuleVersionOut(RuleVersionSummary):
    """A version of a programme's rules."""

    rules: dict[str, Any] = Field(description="The rule book, as it is read.")


class RuleVersionList(Output):
    """Newest first."""

    items: list[RuleVersionSummary]
    next_cursor: str | None = Field(description="Null on the last piece.")


class RulesPublished(Output):
    """The new version, and the one that it replaced."""

    version: RuleVersionSummary
    former: int | None = Field(description="The number of the version that was retired.")


class TierMove(Output):
    """Cards that go from one tier to another."""

    before: str | None = Field(description="The tier's code; null where there were none.")
    after: str | None
    direction: Literal["up", "down", "assigned"] = Field(
        description="`assigned`: between rules with and without tiers, or to a tier that takes "
        "the place of another."
    )
    at_once: bool = Field(description="Or at the next regular check, if there is one.")
    cards: int


class TierCount(Output):
    """How many cards a tier has."""

    tier: str | None
    cards: int


class TierMover(Output):
    """A card that would move."""

    id: str
    number: str
    before: str | None
    after: str | None
    direction: Literal["up", "down", "assigned"]
    at_once: bool
    turnover: int = Field(description="As the rules tried count it, in minor units of money.")


class TierPreview(Output):
    """Who would move where. The numbers are of all open cards, `items` are a piece of the list."""

    moves: list[TierMove]
    staying: int
    after: list[TierCount] = Field(description="The tiers as they would then be.")
    items: list[TierMover]
    next_cursor: str | None = Field(description="Null on the last piece.")
