"""Undoing an issue, a top-up or a payout that was a mistake."""

from __future__ import annotations

from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.api.certificate_schemas import Because, Cancellation, CertificateMovement
from walletsvc.api.certificates.common import (
    MOVEMENT_EXAMPLE,
    PATH,
    TAG,
    TRANSACTION_EXAMPLE,
    find,
    movement,
)
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import DryRun
from walletsvc.certificates import service
from walletsvc.core.errors import CertificateBlocked, Conflict, InsufficientFunds, Refused


def cancel(call: Call) -> CertificateMovement:
    """Undo the issue, or a top-up."""
    body: Cancellation = call.body
    query: DryRun = call.query
    found = find(call, own=True).certificate
    made = service.cancel(
        call.session,
        found,
        top_up=body.transaction_id,
        actor=call.actor,
        reason=body.reason,
        now=call.now,
        branch_id=call.key.branch_id,
    )
    return movement(call, found, made, dry_run=query.dry_run)


def undo_payout(call: Call) -> CertificateMovement:
    """The remainder was not paid out after all."""
    body: Because = call.body
    query: DryRun = call.query
    found = find(call, own=True).certificate
    made = service.undo_payout(
        call.session,
        found,
        actor=call.actor,
        reason=body.reason,
        now=call.now,
        branch_id=call.key.branch_id,
    )
    return movement(call, found, made, dry_run=query.dry_run)


_UNDONE: Final = {
    **TRANSACTION_EXAMPLE,
    "id": "2f5h8k1n4r7t0w3z6b9d",
    "type": "reversal",
    "undoes": "8w2e4r6t0y1v3x5z7b9d",
}

OPERATIONS: Final = (
    Operation(
        id="cancelCertificate",
        method="POST",
        path="/certificates/{certificate_id}/cancel",
        tag=TAG,
        scope=Scope.CERTIFICATES_MANAGE,
        summary="Cancel a certificate",
        description="Undoes the issue of a certificate of which nothing is spent, and closes it; "
        "the money goes back to where it came from. With `transaction_id` it undoes that top-up "
        "instead, and the certificate stays open. Of one that was used the remainder can be paid "
        "out.",
        handler=cancel,
        body=Cancellation,
        body_example={"reason": "Чек 1041 отменён"},
        query=DryRun,
        answer=CertificateMovement,
        answer_example={
            "transaction": {**_UNDONE, "amount": -300000, "balance_after": 0},
            "balance": 0,
            "dry_run": False,
        },
        key=KeyRule.REQUIRED,
        problems=(CertificateBlocked, InsufficientFunds, Refused, Conflict),
        path_parameters=PATH,
    ),
    Operation(
        id="undoCertificatePayout",
        method="POST",
        path="/certificates/{certificate_id}/payout/undo",
        tag=TAG,
        scope=Scope.CERTIFICATES_MANAGE,
        summary="Undo a payout",
        description="For a payout noted by mistake: the remainder is on the certificate, which is "
        "open again. Of several the last one is undone.",
        handler=undo_payout,
        body=Because,
        body_example={"reason": "Не тот сертификат"},
        query=DryRun,
        answer=CertificateMovement,
        answer_example={
            **MOVEMENT_EXAMPLE,
            "transaction": {**_UNDONE, "amount": 215950, "balance_after": 215950},
        },
        key=KeyRule.REQUIRED,
        problems=(Refused, Conflict),
        path_parameters=PATH,
    ),
)
