"""What the till's calls answer."""

from __future__ import annotations

from pydantic import Field

from walletsvc.api.schemas import CardOut, Moment, Output, PublicId
from walletsvc.certificates.states import State
from walletsvc.sales.models import PurchaseState, RefundState
from walletsvc.sales.scanning import Problem


class MoneyOut(Output):
    """A sum of money in minor units."""

    amount: int
    currency: str


class ReasonOut(Output):
    """One thing that made the result what it is."""

    code: str = Field(description="Stable; other software may go by it.")
    text: str


class SoldLine(Output):
    """A line of the bill as it was sent, with its share of the result."""

    item: str | None
    sum: MoneyOut
    discount: MoneyOut
    points_money: MoneyOut = Field(description="What of it points paid.")
    earned: int


class PaidCertificate(Output):
    """A certificate's part of the bill."""

    certificate_id: str
    amount: MoneyOut
    left: MoneyOut = Field(description="On the certificate, at the time of the purchase.")


class ReachedTier(Output):
    """A level of the programme; `missing` to the next one."""

    code: str | None
    next: str | None
    missing: MoneyOut | None


class StampsOut(Output):
    """A stamp card as people see it."""

    stamps: int = Field(description="On the card that is being filled.")
    needed: int = Field(description="How many fill it.")
    rewards: int = Field(description="Full cards that were not used yet.")


class ScannedCertificate(Output):
    """A certificate that was scanned."""

    id: PublicId
    state: State
    currency: str
    expires_at: Moment | None


class ScanOut(Output):
    """What was scanned: a card or a certificate."""

    kind: str = Field(description="`card` or `certificate`.")
    card: CardOut | None
    certificate: ScannedCertificate | None
    tier: ReachedTier | None = Field(description="Of the card, when the programme has tiers.")
    stamps: StampsOut | None = Field(description="Where the rules have a stamp card.")
    available: int = Field(description="What may be spent now, in its minor units.")
    problems: list[Problem] = Field(description="Why it cannot be used here now; none when empty.")
    notes: list[ReasonOut] = Field(
        description="What the cashier should know of it, in words to be said aloud: `no_rules`, "
        "the programme has no published rules yet, so it earns nothing and its points cannot pay; "
        "`not_verified`, the holder has not proved a phone, so the card earns nothing and cannot "
        "pay either; `presence_required`, the number alone only earns; and why a code does not "
        "count."
    )
    presentation: str | None = Field(
        description="When a code of the moment was shown: to be named by the sale or hold, once."
    )
    presentation_expires_at: Moment | None = Field(description="From when it is over.")


class Calculated(Output):
    """What a bill comes to, and why."""

    at: Moment = Field(description="The time whose rules counted.")
    rules_version: int | None = Field(description="Which version of the programme's rules.")
    total: MoneyOut = Field(description="Before discounts.")
    discount: MoneyOut
    payable: MoneyOut = Field(description="After discounts.")
    points: int = Field(
        description="Points that pay, in minor units of the programme; or stamps that are used, "
        "whose reward is part of `discount`."
    )
    points_money: MoneyOut = Field(description="What they pay.")
    certificates: list[PaidCertificate]
    money: MoneyOut = Field(description="What is left to be paid with money.")
    earned: int = Field(description="Points, in minor units of the programme.")
    stamps: int
    available_from: Moment | None = Field(description="From when the points may be spent.")
    expires_at: Moment | None = Field(description="From when they may not be spent any more.")
    tier: str | None = Field(description="The tier that decided.")
    tier_after: str | None = Field(description="The tier from the next purchase on.")
    lines: list[SoldLine]
    explanation: list[ReasonOut]


class QuoteOut(Calculated):
    """What a purchase would be now."""

    most_points: int = Field(
        description="The most points that can pay this bill, by its rules and by what there is."
    )
    available: int | None = Field(description="What the card may spend besides `points`.")


class FutureOut(Output):
    """Points that become available later."""

    amount: int
    available_from: Moment


class ReceiptOut(Output):
    """The block to be printed, as data and as text."""

    phone: str | None = Field(description="Masked.")
    balance: int | None = Field(description="After the purchase.")
    valid: int | None = Field(description="What of it may be spent, promotional points included.")
    promotional: int | None = Field(description="What of that was an advertising gift.")
    future: list[FutureOut]
    stamps: StampsOut | None = Field(description="Where the rules have a stamp card.")
    text: str = Field(description="Lines of at most `width` characters.")


class ReturnedCertificate(Output):
    """What goes back to a certificate."""

    certificate_id: str
    amount: MoneyOut


class ProblemOut(Output):
    """Why a return that had waited could not be taken."""

    code: str
    detail: str


class RefundOut(Output):
    """A return: what is given back, what is taken back."""

    id: PublicId | None = Field(description="Null in a dry run.")
    state: RefundState = Field(
        description="`waiting` for its purchase; `refused` when that came and had less to return."
    )
    source: str
    external_id: str
    purchase_id: str | None
    purchase_external_id: str
    at: Moment
    recorded_at: Moment
    money: MoneyOut | None = Field(description="To be given back in money; null while it waits.")
    points: int = Field(description="Given back to the card.")
    certificates: list[ReturnedCertificate]
    taken_back: int = Field(description="Points (or stamps) that had been earned.")
    shortfall: int = Field(
        description="What could not be taken back yet, for it was spent. Points that come back "
        "later make up for it."
    )
    recovered: int = Field(
        description="Taken of the points that came back, for the shortfalls of earlier returns."
    )
    expired: int = Field(
        description="What of `points` came back past its time: it stands in `balance` until it is "
        "written off, and cannot be spent."
    )
    balance: int | None = Field(description="Of the card, after the return.")
    explanation: list[ReasonOut] = Field(
        description="What the customer should be told: `returned_expired`, "
        "`returned_to_expired_certificate`; of a return that waits, `purchase_awaited`."
    )
    problem: ProblemOut | None
    dry_run: bool


class PurchaseBrief(Output):
    """A purchase in a list."""

    id: PublicId | None = Field(description="Null in a dry run: nothing was recorded.")
    state: PurchaseState
    source: str
    external_id: str
    at: Moment
    recorded_at: Moment = Field(description="When it was reported.")
    branch_id: str | None
    channel: str | None
    card_id: str | None
    total: MoneyOut
    discount: MoneyOut
    points: int
    money: MoneyOut
    earned: int
    stamps: int


class CardPurchase(PurchaseBrief):
    """A purchase with a card, wherever that is accepted."""

    organisation: str = Field(description="Where it was bought: the organisation's short name.")


class CertificatePurchase(CardPurchase):
    """A purchase that a certificate paid for, in part or as a whole."""

    paid: MoneyOut = Field(description="What the certificate paid of it, before any return.")


class PurchaseOut(Calculated):
    """A purchase and everything that explains it."""

    id: PublicId | None = Field(description="Null in a dry run: nothing was recorded.")
    state: PurchaseState
    source: str
    external_id: str
    recorded_at: Moment
    branch_id: str | None
    channel: str | None
    card_id: str | None
    receipt: ReceiptOut
    refunds: list[RefundOut]
    corrects: str | None = Field(description="The purchase in whose place this one counts.")
    corrected_by: str | None = Field(description="The purchase that counts in place of this one.")
    repeated: bool = Field(description="It was recorded before, by an earlier report.")
    dry_run: bool


class PurchaseList(Output):
    """Newest first, by when they were recorded."""

    items: list[PurchaseBrief]
    next_cursor: str | None = Field(description="Null on the last piece.")


class CardPurchaseList(Output):
    """Newest first, by when they were recorded."""

    items: list[CardPurchase]
    next_cursor: str | None = Field(description="Null on the last piece.")


class CertificatePurchaseList(Output):
    """Newest first, by when they were recorded."""

    items: list[CertificatePurchase]
    next_cursor: str | None = Field(description="Null on the last piece.")
