"""What was bought with a card, and what a certificate paid for: for whoever issued it."""

from __future__ import annotations

from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.api.cards import find_card
from walletsvc.api.certificates.common import PATH as CERTIFICATE_PATH
from walletsvc.api.certificates.common import find as find_certificate
from walletsvc.api.operations import Call, Operation
from walletsvc.api.sales.answers import (
    CardPurchase,
    CardPurchaseList,
    CertificatePurchase,
    CertificatePurchaseList,
    MoneyOut,
)
from walletsvc.api.sales.common import TAG, brief
from walletsvc.api.sales.examples import BRIEF, money
from walletsvc.api.schemas import Page
from walletsvc.core.errors import wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.sales import queries


def of_card(call: Call) -> CardPurchaseList:
    """What was bought with a card, newest first."""
    query: Page = call.query
    card = find_card(call).card
    before = _before(call, query.cursor, card=card.id)
    rows = queries.of_card(call.session, card.id, before=before, limit=query.limit + 1)
    shown = rows[: query.limit]
    return CardPurchaseList(
        items=[
            CardPurchase(**brief(found).model_dump(), organisation=where) for found, where in shown
        ],
        next_cursor=shown[-1][0].public_id if len(rows) > query.limit else None,
    )


def of_certificate(call: Call) -> CertificatePurchaseList:
    """What a certificate paid for, newest first."""
    query: Page = call.query
    certificate = find_certificate(call, own=True).certificate
    before = _before(call, query.cursor, certificate=certificate.id)
    rows = queries.of_certificate(
        call.session, certificate.id, before=before, limit=query.limit + 1
    )
    shown = rows[: query.limit]
    return CertificatePurchaseList(
        items=[
            CertificatePurchase(
                **brief(found).model_dump(),
                organisation=where,
                paid=MoneyOut(amount=paid, currency=found.currency),
            )
            for found, where, paid in shown
        ],
        next_cursor=shown[-1][0].public_id if len(rows) > query.limit else None,
    )


def _before(
    call: Call, cursor: str | None, *, card: int | None = None, certificate: int | None = None
) -> int | None:
    if cursor is None:
        return None
    place = None
    if PUBLIC_ID.fullmatch(cursor):
        place = queries.place(call.session, cursor, card=card, certificate=certificate)
    if place is None:
        raise wrong("cursor", "is not a cursor of this list", "invalid")
    return place


OPERATIONS: Final = (
    Operation(
        id="listCardPurchases",
        method="GET",
        path="/cards/{card_id}/purchases",
        tag=TAG,
        scope=Scope.SALES_READ,
        summary="List a card's purchases",
        description="For the organisation that issued the card: everything that was bought with "
        "it, also where partners accept it, newest first. Lines and receipts are read by whoever "
        "sold.",
        handler=of_card,
        query=Page,
        answer=CardPurchaseList,
        answer_example={"items": [{**BRIEF, "organisation": "coffee"}], "next_cursor": None},
        path_parameters={"card_id": "The card's id."},
    ),
    Operation(
        id="listCertificatePurchases",
        method="GET",
        path="/certificates/{certificate_id}/purchases",
        tag=TAG,
        scope=Scope.SALES_READ,
        summary="List what a certificate paid for",
        description="For the organisation that issued it: the purchases it paid for, also where "
        "partners accept it, newest first, each with its part. What a till took without saying "
        "for what (`redemptions`) is in the certificate's transactions.",
        handler=of_certificate,
        query=Page,
        answer=CertificatePurchaseList,
        answer_example={
            "items": [{**BRIEF, "organisation": "coffee", "paid": money(30000)}],
            "next_cursor": None,
        },
        path_parameters=CERTIFICATE_PATH,
    ),
)
