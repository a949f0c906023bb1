"""Redeeming, refunding, paying out."""

from __future__ import annotations

from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.api.certificate_schemas import Because, CertificateMovement, Redemption, Refund
from walletsvc.api.certificates.common import (
    MOVEMENT_EXAMPLE,
    PATH,
    TAG,
    TRANSACTION_EXAMPLE,
    find,
    find_any,
    movement,
)
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import DryRun
from walletsvc.certificates import service
from walletsvc.core.errors import (
    AlreadyReversed,
    CertificateBlocked,
    CertificateExpired,
    Conflict,
    InsufficientFunds,
    NotAccepted,
    Refused,
)


def redeem(call: Call) -> CertificateMovement:
    """Pay a part of a bill."""
    body: Redemption = call.body
    query: DryRun = call.query
    found = find(call).certificate
    made = service.redeem(
        call.session,
        found,
        body.amount,
        acceptor_id=call.key.organisation_id,
        branch_id=call.key.branch_id,
        actor=call.actor,
        reason=body.reason,
        now=call.now,
    )
    return movement(call, found, made, dry_run=query.dry_run)


def refund(call: Call) -> CertificateMovement:
    """Give a redemption back."""
    body: Refund = call.body
    query: DryRun = call.query
    # Who took the value can give it back although it accepts the issuer's no longer.
    found = find_any(call)
    made = service.refund(
        call.session,
        found,
        body.transaction_id,
        amount=body.amount,
        organisation_id=call.key.organisation_id,
        branch_id=call.key.branch_id,
        actor=call.actor,
        reason=body.reason,
        now=call.now,
    )
    return movement(call, found, made, dry_run=query.dry_run)


def pay_out(call: Call) -> CertificateMovement:
    """Pay the remainder to the bearer."""
    body: Because = call.body
    query: DryRun = call.query
    found = find(call, own=True).certificate
    made = service.pay_out(
        call.session,
        found,
        branch_id=call.key.branch_id,
        actor=call.actor,
        reason=body.reason,
        now=call.now,
    )
    return movement(call, found, made, dry_run=query.dry_run)


OPERATIONS: Final = (
    Operation(
        id="redeemCertificate",
        method="POST",
        path="/certificates/{certificate_id}/redemptions",
        tag=TAG,
        scope=Scope.CERTIFICATES_REDEEM,
        summary="Redeem a certificate",
        description="Takes the part of a bill that the certificate pays; the rest stays on it. "
        "A certificate is a means of payment, not a discount. What another organisation issued is "
        "owed to yours from then on. When it does not cover the amount, `available` says how much "
        "it covers. Keep the transaction's `id` for a refund.",
        handler=redeem,
        body=Redemption,
        body_example={"amount": 84050, "reason": "Чек 1042"},
        query=DryRun,
        answer=CertificateMovement,
        answer_example=MOVEMENT_EXAMPLE,
        key=KeyRule.REQUIRED,
        problems=(
            InsufficientFunds,
            NotAccepted,
            CertificateBlocked,
            CertificateExpired,
            Refused,
            Conflict,
        ),
        path_parameters=PATH,
    ),
    Operation(
        id="refundCertificate",
        method="POST",
        path="/certificates/{certificate_id}/refunds",
        tag=TAG,
        scope=Scope.CERTIFICATES_REDEEM,
        summary="Refund a redemption",
        description="Gives a redemption back to the certificate, in full or in any number of "
        "parts, never more than was taken. It also works when the certificate has expired, is "
        "blocked, or was transferred (its successor gets the value, and may be named instead); its "
        "state stays as it is. Only the organisation that took the value can.",
        handler=refund,
        body=Refund,
        body_example={
            "transaction_id": "8w2e4r6t0y1v3x5z7b9d",
            "amount": 20000,
            "reason": "Возврат по чеку 1042",
        },
        query=DryRun,
        answer=CertificateMovement,
        answer_example={
            "transaction": {
                **TRANSACTION_EXAMPLE,
                "id": "2f5h8k1n4r7t0w3z6b9d",
                "type": "reversal",
                "amount": 20000,
                "balance_after": 235950,
                "undoes": "8w2e4r6t0y1v3x5z7b9d",
            },
            "balance": 235950,
            "dry_run": False,
        },
        key=KeyRule.REQUIRED,
        problems=(AlreadyReversed, Refused, Conflict),
        path_parameters=PATH,
    ),
    Operation(
        id="payOutCertificate",
        method="POST",
        path="/certificates/{certificate_id}/payout",
        tag=TAG,
        scope=Scope.CERTIFICATES_MANAGE,
        summary="Pay the remainder out",
        description="Notes that all that is left was paid to the bearer, and closes the "
        "certificate; also after its end, for what was paid is an advance. A free certificate has "
        "nothing to pay out. A rehearsal (`dry_run`) tells the sum.",
        handler=pay_out,
        body=Because,
        body_example={"reason": "Заявление от 21.11.2026"},
        query=DryRun,
        answer=CertificateMovement,
        answer_example={
            "transaction": {**TRANSACTION_EXAMPLE, "amount": -215950, "balance_after": 0},
            "balance": 0,
            "dry_run": False,
        },
        key=KeyRule.REQUIRED,
        problems=(CertificateBlocked, Refused, Conflict),
        path_parameters=PATH,
    ),
)
