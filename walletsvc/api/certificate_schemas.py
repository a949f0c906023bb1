"""What the calls about gift certificates read and answer. Amounts are in minor units."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints

from walletsvc.api.holds_schemas import ActiveHoldOut
from walletsvc.api.schemas import (
    BulkJobOut,
    Input,
    Links,
    Moment,
    Output,
    Page,
    PublicId,
    Reason,
    Slug,
    TransactionOut,
)
from walletsvc.certificates.models import EventKind, Origin
from walletsvc.certificates.recipients import MOST_ROWS
from walletsvc.certificates.states import State
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.people.schemas import PersonLanguage

Amount = Annotated[int, Field(ge=1, le=MAX_AMOUNT)]
Recipient = Annotated[str, StringConstraints(max_length=120)]


class NewCertificate(Input):
    """A gift certificate to be issued."""

    programme: Slug = Field(description="The gift programme's short name.")
    amount: Amount = Field(description="What it is worth, in minor units of the currency.")
    origin: Literal["paid", "free"] = Field(
        "paid",
        description="`paid`: somebody paid the amount. `free`: a gift of the house; it needs a "
        "`reason` and the scope `certificates:manage` as well.",
    )
    recipient_name: Recipient = Field("", description="Whose it is; shown on the pass.")
    language: PersonLanguage = Field("ru", description="The language of the pass.")
    expires_on: date | None = Field(
        None,
        description="The last day on which it can be spent, in the programme's time zone. "
        "Without it there is no end.",
    )
    reason: str = Field("", max_length=200, description="Why, or for which receipt.")


class CertificateCode(Input):
    """A code as it was scanned or typed."""

    code: str = Field(
        min_length=1,
        max_length=64,
        description="Case, spaces, hyphens and the keyboard's language do not matter.",
    )


class Redemption(Input):
    """A part of a bill to be paid."""

    amount: Amount
    reason: str = Field("", max_length=200, description="For which receipt.")


class Refund(Input):
    """A redemption to be given back."""

    transaction_id: str = Field(
        min_length=1, max_length=40, description="The redemption, as redeeming answered it."
    )
    amount: Amount | None = Field(
        None, description="How much of it; without it, all that is left of it."
    )
    reason: Reason = Field(min_length=1, max_length=200)


class TopUp(Input):
    """More money on a certificate, paid or given as it was itself."""

    amount: Amount
    reason: str = Field("", max_length=200, description="Needed for a free certificate.")


class Because(Input):
    """A change that only needs to say why."""

    reason: Reason = Field(min_length=1, max_length=200)


class Cancellation(Input):
    """An issue, or a top-up, that was a mistake."""

    transaction_id: str | None = Field(
        None,
        min_length=1,
        max_length=40,
        description="The top-up to undo; without it, the issue of the whole certificate.",
    )
    reason: Reason = Field(min_length=1, max_length=200)


class Transfer(Input):
    """Who has the certificate from now on."""

    recipient_name: Recipient = ""
    language: PersonLanguage = "ru"
    reason: Reason = Field(min_length=1, max_length=200)


class BatchRecipient(Input):
    """One certificate of many."""

    name: str = Field("", max_length=200)
    amount: int = Field(description="In minor units of the currency.")
    language: str = Field("", max_length=20, description="`ru` or `en`; `ru` without it.")


class NewBatch(Input):
    """Certificates for many recipients: `rows`, or a table as spreadsheets save it."""

    programme: Slug
    origin: Literal["paid", "free"] = "free"
    reason: Reason = Field(min_length=1, max_length=200, description="Why; all of them show it.")
    expires_on: date | None = Field(None, description="As for one certificate.")
    rows: list[BatchRecipient] | None = Field(None, min_length=1, max_length=MOST_ROWS)
    csv: str | None = Field(
        None,
        min_length=1,
        description="A table with a heading `name`, `amount`, `language` (or имя, сумма, язык), "
        "separated by commas, semicolons or tabs; amounts in whole units of money.",
    )
    xlsx: str | None = Field(
        None, min_length=1, description="The same table as an Excel workbook, in base64."
    )


def _moment(value: Any) -> Any:
    # A plus sign in an address means a space unless it is encoded.
    return value.replace(" ", "+") if isinstance(value, str) else value


AskedMoment = Annotated[AwareDatetime, BeforeValidator(_moment)]


class Period(Input):
    """From when until when."""

    since: AskedMoment | None = Field(
        None, alias="from", description="The first moment, RFC 3339. Without it, the beginning."
    )
    until: AskedMoment | None = Field(
        None, alias="to", description="The first moment after. Without it, now."
    )


class CertificateSearch(Page):
    """Which certificates; all without any."""

    state: State | None = Field(None, description="Only those that are in this state now.")
    programme: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")] | None = Field(
        None, description="Only of this gift programme: its short name."
    )
    branch: str | None = Field(
        None, max_length=40, description="Only those that this branch issued: its public id."
    )
    issued_from: AskedMoment | None = Field(
        None, description="Only those issued at this moment, RFC 3339, or later."
    )
    issued_to: AskedMoment | None = Field(None, description="Only those issued before it.")


class EventOut(Output):
    """How a certificate's state changed."""

    kind: EventKind
    reason: str
    actor: str
    at: Moment


class CertificateOut(Output):
    """A certificate as it is now. What only its issuer may see is null for everybody else."""

    id: PublicId
    programme: str = Field(description="The gift programme's short name.")
    currency: str
    state: State = Field(description="Only an `active` one can be spent.")
    balance: int = Field(description="What is left.")
    available: int = Field(
        description="What can be spent now: nothing unless it is active, and nothing that is "
        "reserved."
    )
    face_value: int = Field(description="What it was worth when it was issued.")
    expires_at: Moment | None = Field(description="The moment from which it cannot be spent.")
    origin: Origin | None
    recipient_name: str | None
    language: PersonLanguage | None
    branch: str | None = Field(description="The branch that issued it.")
    issued_at: Moment | None
    block_reason: str | None
    links: Links | None = Field(
        description="Its page, and the ways into wallets. They show the code: keep them."
    )
    transferred_from: str | None
    transferred_to: str | None
    events: list[EventOut] | None = Field(description="How its state changed, oldest first.")


class CertificateRow(Output):
    """A certificate in a list: no code, and no links, which show it."""

    id: PublicId
    programme: str = Field(description="The gift programme's short name.")
    currency: str
    state: State
    face_value: int = Field(description="What it was worth when it was issued.")
    balance: int = Field(description="What is left.")
    available: int = Field(description="What can be spent now.")
    origin: Origin
    recipient_name: str
    language: PersonLanguage
    branch: str | None = Field(description="The branch that issued it.")
    issued_at: Moment
    expires_at: Moment | None


class CertificateList(Output):
    """Newest first."""

    items: list[CertificateRow]
    next_cursor: str | None = Field(description="Null on the last piece.")


class IssuedCertificate(Output):
    """A new certificate, or in a dry run what it would be."""

    certificate: CertificateOut | None = Field(description="Null in a dry run.")
    code: str | None = Field(
        description="The code is money: hand it over, do not keep it. Null in a dry run."
    )
    amount: int
    dry_run: bool


class CertificateMovement(Output):
    """What a movement of money did, or in a dry run would do."""

    transaction: TransactionOut
    balance: int = Field(description="Afterwards.")
    dry_run: bool


class PartOut(Output):
    """What one kind of movement added to the balance, or took from it."""

    kind: Literal[
        "issued",
        "issue_undone",
        "topped_up",
        "redeemed",
        "refunded",
        "paid_out",
        "paid_out_undone",
        "transferred_in",
        "transferred_out",
    ]
    count: int
    amount: int = Field(description="Below zero when it took something.")


class CertificateExplanation(Output):
    """Why a certificate is worth what it is: the parts sum to the balance."""

    balance: int
    held: int = Field(description="Reserved for bills that are being paid.")
    holds: list[ActiveHoldOut] = Field(description="What is reserved, oldest first.")
    available: int
    state: State
    parts: list[PartOut]


class BatchOut(Output):
    """What was begun, or in a dry run would be."""

    job: BulkJobOut | None = Field(description="Null in a dry run: nothing was begun.")
    certificates: int
    total_amount: int
    dry_run: bool


class BatchRowOut(Output):
    """One recipient and the certificate, once it is issued."""

    row: int = Field(description="Its place in the list, from 1.")
    recipient_name: str
    amount: int
    language: PersonLanguage
    certificate: str | None = Field(description="Its id; null until it is issued.")
    links: Links | None
    code: str | None = Field(description="Only for keys with `certificates:manage`.")


class BatchRows(Output):
    """The job and a piece of its list."""

    job: BulkJobOut
    items: list[BatchRowOut]
    next_cursor: str | None = Field(description="Null on the last piece.")


class BranchFiguresOut(Output):
    """One branch in one currency. Sums in minor units."""

    branch: str | None = Field(description="Null for what was done in no branch.")
    name: str
    currency: str
    sold_count: int
    sold: int = Field(description="Paid in, top-ups among it.")
    given_count: int
    given: int = Field(description="Given by the house, top-ups among it.")
    used: int = Field(description="How many certificates were redeemed here.")
    redemptions: int = Field(description="How many times.")
    debited: int = Field(description="Redeemed here, whoever issued the certificates.")
    refunded: int = Field(description="Given back of redemptions.")
    paid_out: int = Field(description="Remainders paid to bearers.")
    outstanding: int = Field(
        description="Still owed at the end of the period on certificates this branch issued."
    )


class Summary(Output):
    """The figures of a period, by branch."""

    since: Moment | None
    until: Moment
    branches: list[BranchFiguresOut]
    totals: list[BranchFiguresOut] = Field(description="One per currency.")
