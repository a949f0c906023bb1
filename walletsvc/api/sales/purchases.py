"""Purchases: recorded, read, listed, corrected."""

from __future__ import annotations

from typing import Final

from sqlmodel import col, select

from walletsvc.access.rules import Scope
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.sales.answers import PurchaseList, PurchaseOut
from walletsvc.api.sales.common import (
    PATH,
    TAG,
    brief,
    caller,
    purchase_id,
    purchase_out,
    reference,
    sale,
)
from walletsvc.api.sales.examples import BILL, BRIEF, PURCHASE, PURCHASE_ID
from walletsvc.api.sales.quotes import PROBLEMS
from walletsvc.api.sales.reading import (
    NewCorrection,
    NewPurchase,
    Printing,
    PrintingDryRun,
    PurchaseSearch,
)
from walletsvc.cards.models import Card
from walletsvc.core.errors import NotFound, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.sales import queries
from walletsvc.sales.correcting import correct
from walletsvc.sales.purchasing import purchase
from walletsvc.sales.sale import Reference


def record(call: Call) -> PurchaseOut:
    """Record a sale."""
    body: NewPurchase = call.body
    query: PrintingDryRun = call.query
    sold = sale(body)
    done = purchase(call.session, caller(call), sold, reference(call, body), call.now)
    return purchase_out(
        call,
        done.purchase,
        query,
        repeated=done.repeated,
        dry_run=query.dry_run,
        fresh=(sold.basket, done.outcome) if done.outcome else None,
    )


def read(call: Call) -> PurchaseOut:
    """A purchase as it is now."""
    query: Printing = call.query
    found = queries.find(call.session, call.key.organisation_id, purchase_id(call))
    if found is None:
        raise NotFound("There is no such purchase.")
    return purchase_out(call, found, query)


def list_purchases(call: Call) -> PurchaseList:
    """The purchases of the caller's organisation, newest first."""
    query: PurchaseSearch = call.query
    organisation = call.key.organisation_id
    before = None
    if query.cursor is not None:
        place = None
        if PUBLIC_ID.fullmatch(query.cursor):
            place = queries.find(call.session, organisation, query.cursor)
        if place is None:
            raise wrong("cursor", "is not a cursor of this list", "invalid")
        before = place.id
    card = None
    if query.card_id is not None:
        if PUBLIC_ID.fullmatch(query.card_id):
            wanted = select(Card.id).where(col(Card.public_id) == query.card_id)
            card = call.session.exec(wanted).first()
        if card is None:
            return PurchaseList(items=[], next_cursor=None)
    rows = queries.list_purchases(
        call.session,
        organisation,
        card=card,
        source=query.source,
        external_id=query.external_id,
        before=before,
        limit=query.limit + 1,
    )
    part = rows[: query.limit]
    return PurchaseList(
        items=[brief(found) for found in part],
        next_cursor=part[-1].public_id if len(rows) > query.limit else None,
    )


def correct_purchase(call: Call) -> PurchaseOut:
    """Undo a purchase and record another in its place."""
    body: NewCorrection = call.body
    query: PrintingDryRun = call.query
    done = correct(
        call.session,
        caller(call),
        purchase_id(call),
        sale(body),
        Reference(body.source or call.key.public_id, body.external_id),
        body.reason,
        call.now,
    )
    return purchase_out(call, done.purchase, query, repeated=done.repeated, dry_run=query.dry_run)


OPERATIONS: Final = (
    Operation(
        id="recordPurchase",
        method="POST",
        path="/purchases",
        brief=True,
        tag=TAG,
        scope=Scope.SALES_WRITE,
        summary="Record a sale",
        description="Takes the points and certificates that pay, gives what the sale earns by the "
        "rules of its time (`at`), counts it for the tier, and answers the block of the receipt: "
        "all of it or nothing. A report that comes late is computed by the rules of its day. "
        "The same `external_id` a second time answers the purchase that was recorded "
        "(`repeated`); with other content it is a `conflict` whose `differs` names the fields. "
        "Returns that came before their purchase are applied at once.",
        handler=record,
        status=201,
        body=NewPurchase,
        body_example={**BILL, "source": "till-1", "external_id": "4711"},
        query=PrintingDryRun,
        answer=PurchaseOut,
        answer_example=PURCHASE,
        key=KeyRule.REQUIRED,
        problems=PROBLEMS,
    ),
    Operation(
        id="listPurchases",
        method="GET",
        path="/purchases",
        tag=TAG,
        scope=Scope.SALES_READ,
        summary="List purchases",
        description="Those of your organisation, newest first: all, those of a card, or the one "
        "with an `external_id`. Ask by it when you do not know whether a purchase arrived.",
        handler=list_purchases,
        query=PurchaseSearch,
        answer=PurchaseList,
        answer_example={"items": [BRIEF], "next_cursor": None},
    ),
    Operation(
        id="readPurchase",
        method="GET",
        path="/purchases/{purchase_id}",
        tag=TAG,
        scope=Scope.SALES_READ,
        summary="Read a purchase",
        description="The purchase with its explanation, its receipt and its returns.",
        handler=read,
        query=Printing,
        answer=PurchaseOut,
        answer_example=PURCHASE,
        path_parameters=PATH,
    ),
    Operation(
        id="correctPurchase",
        method="POST",
        path="/purchases/{purchase_id}/corrections",
        tag=TAG,
        scope=Scope.SALES_WRITE,
        summary="Correct a purchase",
        description="The amount, the branch or the card was wrong: the purchase is undone as a "
        "whole and this one is recorded in its place, under an `external_id` of its own; without "
        "`at`, `channel` or (for a key of all branches) `branch_id` it was when and where the old "
        "one was. It earns by the tier that the card has without the "
        "mistake, and a tier that only the mistake reached is taken back at once. A purchase of "
        "which something came back cannot be corrected any more.",
        handler=correct_purchase,
        status=201,
        body=NewCorrection,
        body_example={
            **BILL,
            "source": "till-1",
            "external_id": "4711-K1",
            "reason": "Пробит чужой торт",
        },
        query=PrintingDryRun,
        answer=PurchaseOut,
        answer_example={
            **PURCHASE,
            "id": "8r0t2v4x6z8b0d2f4h6k",
            "external_id": "4711-K1",
            "corrects": PURCHASE_ID,
        },
        key=KeyRule.REQUIRED,
        problems=PROBLEMS,
        path_parameters=PATH,
    ),
)
