"""What the REST interface reads and answers. Amounts are integers in minor units."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from walletsvc.api.moments import MomentIn
from walletsvc.core.clock import rfc3339
from walletsvc.core.errors import InputError
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.jobs.bulk import BulkState
from walletsvc.ledger.models import TransactionType
from walletsvc.merchants.rules import SLUG_LENGTH, check_text
from walletsvc.people.schemas import PersonLanguage

MAX_PAGE: Final = 100
MAX_CARDS: Final = 50_000  # as many as fit into a body

Moment = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
PublicId = Annotated[str, Field(description="A random id; it means nothing and never changes.")]
Slug = Annotated[str, StringConstraints(min_length=1, max_length=SLUG_LENGTH)]


def _not_zero(amount: int) -> int:
    if amount == 0:
        raise PydanticCustomError("out_of_range", "Must not be zero")
    return amount


def check_reason(text: str) -> str:
    """A reason without needless spaces; raises the schema's error when nothing is left."""
    try:
        return check_text("reason", text, 200)
    except InputError as error:
        raise PydanticCustomError("required", "Must say why") from error


Reason = Annotated[str, AfterValidator(check_reason)]


def _switch(value: object) -> object:
    if value not in ("true", "false", True, False):
        raise PydanticCustomError("not_allowed", "Must be true or false")
    return value in ("true", True)


def _whole(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,9}", value):
        raise PydanticCustomError("wrong_type", "Must be a whole number")
    return int(value) if isinstance(value, str) else value


class Input(BaseModel):
    """Read from outside: no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(BaseModel):
    """Answered: every field is always there, null when there is nothing to say."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NewAdjustment(Input):
    """A credit (above zero) or debit (below zero) by hand."""

    amount: Annotated[int, AfterValidator(_not_zero)] = Field(
        ge=-MAX_AMOUNT, le=MAX_AMOUNT, description="In minor units of the programme."
    )
    reason: Annotated[str, AfterValidator(check_reason)] = Field(
        min_length=1, max_length=200, description="Why; the card's history shows it."
    )
    available_from: MomentIn | None = Field(
        None, description="Of a credit: when it joins the balance. Without it, or in the past: now."
    )
    expires_on: date | None = Field(
        None,
        description="Of a credit: the last day on which the points can be spent, in the "
        "programme's time zone. Without an end of either kind they have none.",
    )
    expires_at: MomentIn | None = Field(
        None, description="Or the moment from which they cannot be spent any more."
    )
    promotional: bool = Field(
        False, description="Of a credit: marks the points as an advertising gift."
    )


class DryRun(Input):
    """Calls that move value can be tried first."""

    dry_run: Annotated[bool, BeforeValidator(_switch)] = Field(
        False, description="`true` makes every check, answers as usual and writes nothing."
    )


class Page(Input):
    """A piece of a list."""

    cursor: str | None = Field(
        None, max_length=200, description="`next_cursor` of the piece before."
    )
    limit: Annotated[int, BeforeValidator(_whole)] = Field(
        50, ge=1, le=MAX_PAGE, description="At most so many."
    )


class PersonOut(Output):
    """A card's holder."""

    id: PublicId
    first_name: str
    last_name: str
    language: PersonLanguage


class CardRef(Output):
    """Which card."""

    id: PublicId
    number: str = Field(description="What the barcode says: 16 digits, the last a check digit.")


class ProgrammeOut(Output):
    """What a card belongs to."""

    slug: str
    name: str
    scale: int = Field(description="Decimals of a point: amounts are in 1/10^scale points.")


class Links(Output):
    """Where the card is shown. The addresses hold a token of the holder."""

    page_url: str
    apple_url: str
    google_url: str | None


class TierOut(Output):
    """The tier that the holder's purchases reached."""

    code: str
    name: dict[PersonLanguage, str] = Field(description="In each language.")


class CardOut(Output):
    """A card as it is now."""

    id: PublicId
    number: str
    holder: PersonOut
    programme: ProgrammeOut
    balance: int = Field(
        description="In minor units of the programme, as of now; a group's is shared."
    )
    tier: TierOut | None = Field(description="Null where the programme's rules have no tiers.")
    group: str | None = Field(description="The group whose account the card shares.")
    links: Links | None = Field(
        description="Null where they would show more than is for the caller: the card of another "
        "organisation; in a programme with codes of the moment, which stand on the pages and "
        "passes, in every scan and for keys of tills (bound to a branch, or with `sales:write` "
        "or `holds:write`)."
    )
    verified_at: Moment | None = Field(
        description="When the holder first proved a phone with this card."
    )
    created_at: Moment
    closed_at: Moment | None


class TransactionOut(Output):
    """A movement of value; it is never changed, only undone by another."""

    id: PublicId | None = Field(description="Null in a dry run: nothing was written.")
    type: TransactionType
    amount: int = Field(description="Signed, in minor units of the programme.")
    balance_after: int | None = Field(
        description="Null when only what will be available changed, not the balance."
    )
    reason: str
    actor: str = Field(description="Who caused it: kind and public id.")
    branch: str | None = Field(description="Public id of the branch, if it happened in one.")
    card: str | None = Field(
        description="The card that acted, when one did: cards may share a balance."
    )
    undoes: str | None = Field(description="The transaction that this one undoes.")
    at: Moment


class Adjustment(Output):
    """What an adjustment did, or in a dry run would do."""

    transaction: TransactionOut
    balance: int = Field(description="Afterwards, in minor units of the programme.")
    dry_run: bool


class TransactionList(Output):
    """Newest first."""

    items: list[TransactionOut]
    next_cursor: str | None = Field(description="Null on the last piece.")


class NewBulkCredit(Input):
    """Points for many cards."""

    programme: Slug = Field(description="The programme's short name.")
    amount: Annotated[int, Field(ge=1, le=MAX_AMOUNT)] = Field(
        description="What each card gets, in minor units of the programme."
    )
    reason: Annotated[str, AfterValidator(check_reason)] = Field(
        min_length=1, max_length=200, description="Why; the cards' histories show it."
    )
    all_cards: bool = Field(False, description="`true`: every open card of the programme.")
    cards: list[Annotated[str, StringConstraints(max_length=40)]] | None = Field(
        None,
        min_length=1,
        max_length=MAX_CARDS,
        description="Or the numbers of the cards. One that is none refuses the whole list.",
    )
    expires_on: date | None = Field(
        None,
        description="The last day on which the points can be spent, in the programme's time "
        "zone. Without it they have no end.",
    )
    promotional: bool = Field(False, description="Marks the points as an advertising gift.")


class BulkJobOut(Output):
    """Work on many cards and how far it is."""

    id: PublicId
    kind: str = Field(
        description="`credit`, `tiers`, `rehearsal`, `gift-certificates`, `template`, "
        "`certificate` (Apple's)."
    )
    title: str
    state: BulkState
    done: int = Field(description="Items dealt with.")
    total: int
    percent: int = Field(description="Rounded down: 100 means that nothing is left.")
    rate: float | None = Field(
        description="Items per second in the present run; null while nobody can know."
    )
    remaining_seconds: float | None = Field(description="At that rate.")
    words: str = Field(description="What is going on, for people.")
    result: dict[str, int] = Field(
        description="How many items by what became of them, such as `credited` and "
        "`skipped_closed`."
    )
    actor: str = Field(description="Who began it: kind and public id.")
    created_at: Moment
    finished_at: Moment | None


class BulkJobList(Output):
    """Newest first."""

    items: list[BulkJobOut]
    next_cursor: str | None = Field(description="Null on the last piece.")


class BulkCreditBegun(Output):
    """What was begun, or in a dry run would be."""

    job: BulkJobOut | None = Field(description="Null in a dry run: nothing was begun.")
    cards: int = Field(description="How many are meant.")
    total_amount: int = Field(description="What all of them get, in minor units.")
    dry_run: bool


class FieldProblem(Output):
    """One thing wrong with one field."""

    field: str = Field(description="Its path, such as `name.first`; `body` for the whole body.")
    message: str
    code: str


class ProblemDetails(BaseModel):
    """An error (RFC 9457). `code` is stable; some codes come with further members."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldProblem] | None = None
