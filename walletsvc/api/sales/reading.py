"""What the till's calls read."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from walletsvc.api.moments import MomentIn
from walletsvc.api.schemas import DryRun, Input, Page, Reason
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.programmes.rulebook.fields import Code, Label, Quantity, Slug
from walletsvc.sales.receipts import WIDTHS

_Id = Annotated[str, Field(max_length=40)]
ExternalId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,80}$")]
Source = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,40}$")]


class MoneyIn(Input):
    """A sum of money."""

    amount: int = Field(ge=0, le=MAX_AMOUNT, description="In minor units, such as kopecks.")
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = Field(
        description="Three capital letters, such as `RUB`."
    )


class LineIn(Input):
    """A line of the bill, before discounts: `price` of one, or `sum` of the line."""

    item: Code | None = Field(None, description="The item's code; rules go by it.")
    group: Code | None = Field(None, description="The code of the item's group.")
    name: Label | None = Field(None, description="What people read.")
    quantity: Quantity = Field(Decimal(1), description='As text, such as `"0.250"`.')
    price: MoneyIn | None = None
    sum: MoneyIn | None = Field(None, description="Where the till has rounded it already.")


class TenderIn(Input):
    """A gift certificate that pays a part of the bill."""

    certificate_id: _Id
    amount: MoneyIn = Field(description="How much of the bill it pays.")
    hold_id: _Id | None = Field(None, description="Take it from what was held.")


class NewQuote(Input):
    """A bill, and how it would be paid; what is left is paid with money."""

    card_id: _Id | None = Field(None, description="Whose purchase it is, if anybody showed a card.")
    lines: list[LineIn] | None = Field(None, min_length=1, max_length=1000)
    total: MoneyIn | None = Field(None, description="Or only the total, where there are no lines.")
    branch_id: _Id | None = Field(
        None, description="Where, if the API key is not bound to a branch."
    )
    channel: Slug | None = Field(None, description="`till`, `online`…: rules go by it.")
    at: MomentIn | None = Field(
        None, description="When it was bought; now, when left out. The rules of that time count."
    )
    points: int | None = Field(
        None,
        ge=0,
        le=MAX_AMOUNT,
        description="Points that pay, in minor units of the programme; with `hold_id` all that "
        "is held, otherwise none when left out.",
    )
    hold_id: _Id | None = Field(None, description="Take the points from what was held.")
    certificates: list[TenderIn] = Field([], max_length=20)
    presentation: _Id | None = Field(
        None,
        description="Shows that the card itself was there: as scanning its code of the moment "
        "answered. Where the programme asks for it, nothing is taken off and no points pay "
        "without it; points that are held need none.",
    )
    proof: _Id | None = Field(
        None,
        description="In its place: a proof of the holder's phone for the purpose `spend`.",
    )


class NewPurchase(NewQuote):
    """A sale that happened."""

    external_id: ExternalId = Field(
        description="The number of the receipt in the sending system. The same one a second time "
        "is the same purchase."
    )
    source: Source | None = Field(
        None, description="Short name of the sending system; the API key's id when left out."
    )


class NewCorrection(NewPurchase):
    """What the purchase should have been, as a whole."""

    reason: Reason = Field(min_length=1, max_length=200, description="Why; it is kept.")


class ReturnedIn(Input):
    """So much of an item: by quantity, or by what was paid for it after discounts."""

    item: Code | None = None
    group: Code | None = None
    quantity: Quantity | None = None
    sum: MoneyIn | None = None


class NewRefund(Input):
    """What came back: lines, or an amount of the bill; everything that is left without both."""

    external_id: ExternalId = Field(
        description="The number of the return. The same one a second time is the same return."
    )
    source: Source | None = Field(
        None, description="As of purchases; `correction` is kept for corrections."
    )
    lines: list[ReturnedIn] | None = Field(None, min_length=1, max_length=1000)
    amount: MoneyIn | None = Field(
        None, description="A sum of what was paid in any form, at least one minor unit."
    )
    at: MomentIn | None = None
    reason: Reason = Field(min_length=1, max_length=200, description="Why; it is kept.")


class NewNamedRefund(NewRefund):
    """A return of a purchase that is known by the sending system's own number."""

    purchase_external_id: ExternalId
    purchase_source: Source | None = Field(None, description="`source` when left out.")


class NewScan(Input):
    """What a scanner read."""

    text: str = Field(
        min_length=1, max_length=200, description="As it was read, or typed by the cashier."
    )


def _width(value: object) -> object:
    if str(value) not in {str(width) for width in WIDTHS}:
        raise PydanticCustomError("not_allowed", "Must be 32, 40 or 48")
    return int(str(value))


class Speaking(Input):
    """How the words of an answer are wanted."""

    language: Literal["ru", "en"] | None = Field(
        None, description="Of the words; the holder's when left out, `ru` without one."
    )


class SpeakingDryRun(Speaking, DryRun):
    """The same for calls that can be tried first."""


class Printing(Speaking):
    """The same where there is a receipt to print."""

    width: Annotated[int, BeforeValidator(_width)] = Field(
        32, description="Characters in a line of the receipt: 32, 40 or 48."
    )


class PrintingDryRun(Printing, DryRun):
    """The same for calls that can be tried first."""


class PurchaseSearch(Page):
    """Which purchases."""

    external_id: ExternalId | None = Field(None, description="The sending system's number.")
    source: Source | None = Field(None, description="The sending system.")
    card_id: _Id | None = Field(None, description="Of this card.")
