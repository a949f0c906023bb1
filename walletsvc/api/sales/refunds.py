"""Refunds: by the purchase's id, or by the number that the sending system gave it."""

from __future__ import annotations

from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.sales.answers import RefundOut
from walletsvc.api.sales.common import PATH, TAG, back, caller, purchase_id, reference, refund_out
from walletsvc.api.sales.examples import REFUND, money
from walletsvc.api.sales.reading import NewNamedRefund, NewRefund, SpeakingDryRun
from walletsvc.core.errors import AlreadyReversed, Conflict, InsufficientFunds, Refused
from walletsvc.sales import refunding
from walletsvc.sales.sale import Reference

_PROBLEMS: Final = (AlreadyReversed, Refused, InsufficientFunds, Conflict)


def refund(call: Call) -> RefundOut:
    """Take a return of a purchase."""
    body: NewRefund = call.body
    query: SpeakingDryRun = call.query
    done = refunding.refund(
        call.session, caller(call), purchase_id(call), reference(call, body), back(body), call.now
    )
    return refund_out(call, done, language=query.language, dry_run=query.dry_run)


def refund_by_number(call: Call) -> RefundOut:
    """Take a return of a purchase that may not have been reported yet."""
    body: NewNamedRefund = call.body
    query: SpeakingDryRun = call.query
    own = reference(call, body)
    original = Reference(body.purchase_source or own.source, body.purchase_external_id)
    done = refunding.refund_by_reference(
        call.session, caller(call), original, own, back(body), call.now
    )
    return refund_out(call, done, language=query.language, dry_run=query.dry_run)


_BODY: Final = {
    "source": "till-1",
    "external_id": "4711-R1",
    "lines": [{"item": "cappuccino", "group": "coffee", "quantity": "1"}],
    "reason": "Остыл",
}

OPERATIONS: Final = (
    Operation(
        id="refundPurchase",
        method="POST",
        path="/purchases/{purchase_id}/refunds",
        tag=TAG,
        scope=Scope.SALES_WRITE,
        summary="Take a return",
        description="By lines, by an amount, or everything that is left. Each return gives its "
        "part of the points, of every certificate and of the money back and takes its part of "
        "what was earned; in any number of parts exactly everything comes back. Points return to "
        "the lots they came from, with their dates; those whose time is over by then cannot be "
        "spent any more, which `expired` and `explanation` say. What was earned and is spent "
        "meanwhile is the `shortfall`, unless the rules refuse such a return; points that come "
        "back later make up for it (`recovered`). The tier stays until the regular check.",
        handler=refund,
        status=201,
        body=NewRefund,
        body_example=_BODY,
        query=SpeakingDryRun,
        answer=RefundOut,
        answer_example=REFUND,
        key=KeyRule.REQUIRED,
        problems=_PROBLEMS,
        path_parameters=PATH,
    ),
    Operation(
        id="refund",
        method="POST",
        path="/refunds",
        brief=True,
        tag=TAG,
        scope=Scope.SALES_WRITE,
        summary="Take a return by the receipt's number",
        description="For systems that report in any order: when the purchase is not known yet, "
        "the return waits for it (`waiting`) and is applied with it.",
        handler=refund_by_number,
        status=201,
        body=NewNamedRefund,
        body_example={
            "source": "till-1",
            "external_id": "4711-R1",
            "purchase_external_id": "4711",
            "amount": money(25000),
            "reason": "Остыл",
        },
        query=SpeakingDryRun,
        answer=RefundOut,
        answer_example=REFUND,
        key=KeyRule.REQUIRED,
        problems=_PROBLEMS,
    ),
)
