"""Quotes: what a bill would come to."""

from __future__ import annotations

from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.api.operations import Call, Operation
from walletsvc.api.sales.answers import QuoteOut
from walletsvc.api.sales.common import TAG, calculated, caller, sale
from walletsvc.api.sales.examples import BILL, QUOTE
from walletsvc.api.sales.reading import NewQuote, Printing
from walletsvc.core.errors import (
    CertificateBlocked,
    CertificateExpired,
    Conflict,
    HoldClosed,
    InsufficientFunds,
    NotAccepted,
    NotFound,
    NotVerified,
    PresenceRequired,
    Refused,
)
from walletsvc.sales import quoting
from walletsvc.sales.quoting import most_points
from walletsvc.sales.receipts import Language

# What a quote and its purchase may answer beside what every call may.
PROBLEMS: Final = (
    InsufficientFunds,
    NotAccepted,
    NotVerified,
    CertificateBlocked,
    CertificateExpired,
    HoldClosed,
    PresenceRequired,
    Refused,
    Conflict,
    NotFound,
)


def quote(call: Call) -> QuoteOut:
    """What a purchase would be now."""
    query: Printing = call.query
    wanted = sale(call.body)
    found = quoting.quote(call.session, caller(call), wanted, call.now)
    card = found.facts.card
    language: Language = query.language or ("en" if card and card.language == "en" else "ru")
    lefts = {
        each.id: found.together.left(found.facts.certificates[each.id].account_id)
        for each in wanted.certificates
    }
    return QuoteOut(
        at=found.at,
        rules_version=card.version.number if card and card.version else None,
        most_points=most_points(found),
        available=None
        if card is None
        else found.together.available(card.account_id) if found.points else found.available,
        **calculated(
            found.outcome,
            wanted.basket,
            wanted.currency,
            card.scale if card else 0,
            language,
            lefts,
        ),
    )  # fmt: skip


OPERATIONS: Final = (
    Operation(
        id="quote",
        method="POST",
        path="/quotes",
        brief=True,
        tag=TAG,
        scope=Scope.SALES_READ,
        summary="Calculate a bill",
        description="What this bill would earn, which discounts it has, how many points can pay "
        "it, and why, line by line. A purchase takes the very same way, so it comes to the same "
        "as its quote unless the card, the certificates or the rules changed in between. Where the "
        "programme asks for a code of the moment, name the `presentation` here too: without it no "
        "discount is counted, and the explanation says `presence_required`. Nothing is used up or "
        "reserved: `POST /holds` does that.",
        handler=quote,
        body=NewQuote,
        body_example=BILL,
        query=Printing,
        answer=QuoteOut,
        answer_example=QUOTE,
        problems=PROBLEMS,
    ),
)
