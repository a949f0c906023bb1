"""Issuing one certificate, and putting more on it."""

from __future__ import annotations

from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.api.certificate_schemas import (
    CertificateMovement,
    IssuedCertificate,
    NewCertificate,
    TopUp,
)
from walletsvc.api.certificates.common import (
    EXAMPLE,
    MOVEMENT_EXAMPLE,
    PATH,
    TAG,
    TRANSACTION_EXAMPLE,
    end,
    find,
    movement,
    programme,
    require_origin,
    shown,
)
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import DryRun
from walletsvc.certificates import queries, service
from walletsvc.certificates.models import Origin
from walletsvc.core.errors import (
    CertificateBlocked,
    CertificateExpired,
    Conflict,
    NotAccepted,
    Refused,
    wrong,
)
from walletsvc.enrolment.service import issue_certificate


def create_certificate(call: Call) -> IssuedCertificate:
    """Issue a certificate."""
    body: NewCertificate = call.body
    query: DryRun = call.query
    origin = require_origin(call, body.origin)
    chosen = programme(call, body.programme)
    if origin is Origin.FREE and not body.reason.strip():
        raise wrong("reason", "must say why it is given", "required")
    issued = issue_certificate(
        call.session,
        programme=chosen,
        face_value=body.amount,
        origin=origin,
        recipient_name=body.recipient_name,
        language=body.language,
        expires_at=end(chosen, body.expires_on, call.now),
        branch_id=call.key.branch_id,
        actor=call.actor,
        reason=body.reason,
        now=call.now,
    )
    view = queries.view(call.session, call.key.organisation_id, issued.certificate)
    certificate = None if query.dry_run or view is None else shown(call, view)
    return IssuedCertificate(
        certificate=certificate,
        code=None if query.dry_run else issued.code,
        amount=body.amount,
        dry_run=query.dry_run,
    )


def top_up_certificate(call: Call) -> CertificateMovement:
    """Put more money on a certificate."""
    body: TopUp = call.body
    query: DryRun = call.query
    view = find(call, own=True)
    if view.certificate.origin is Origin.FREE:
        require_origin(call, Origin.FREE)
        if not body.reason.strip():
            raise wrong("reason", "must say why it is given", "required")
    made = service.top_up(
        call.session,
        view.certificate,
        body.amount,
        branch_id=call.key.branch_id,
        actor=call.actor,
        reason=body.reason,
        now=call.now,
    )
    return movement(call, view.certificate, made, dry_run=query.dry_run)


OPERATIONS: Final = (
    Operation(
        id="createCertificate",
        method="POST",
        path="/certificates",
        tag=TAG,
        scope=Scope.CERTIFICATES_WRITE,
        summary="Issue a gift certificate",
        description="Issues a certificate that was paid for, or with `certificates:manage` a free "
        "one. Its amount is owed from now on. The code is answered here and on the certificate's "
        "own page, and stored so that nobody can read it: hand it over, do not keep it. With an "
        "API key of a branch the certificate counts as sold there.",
        handler=create_certificate,
        status=201,
        body=NewCertificate,
        body_example={
            "programme": "spa-gift",
            "amount": 300000,
            "origin": "paid",
            "recipient_name": "Марина",
            "expires_on": "2027-11-20",
            "reason": "Чек 1001",
        },
        query=DryRun,
        answer=IssuedCertificate,
        answer_example={
            "certificate": {**EXAMPLE, "balance": 300000, "available": 300000},
            "code": "7KQM-3XRT-9WPA-G2HD",
            "amount": 300000,
            "dry_run": False,
        },
        key=KeyRule.REQUIRED,
        problems=(Refused, NotAccepted),
    ),
    Operation(
        id="topUpCertificate",
        method="POST",
        path="/certificates/{certificate_id}/top-ups",
        tag=TAG,
        scope=Scope.CERTIFICATES_WRITE,
        summary="Put more on a certificate",
        description="The money comes from where the rest came from: a certificate that was paid "
        "for is topped up with paid money, a free one (with `certificates:manage`) for free.",
        handler=top_up_certificate,
        body=TopUp,
        body_example={"amount": 100000, "reason": "Чек 1043"},
        query=DryRun,
        answer=CertificateMovement,
        answer_example={
            **MOVEMENT_EXAMPLE,
            "transaction": {
                **TRANSACTION_EXAMPLE,
                "type": "credit",
                "amount": 100000,
                "balance_after": 315950,
            },
            "balance": 315950,
        },
        key=KeyRule.REQUIRED,
        problems=(Refused, Conflict, NotAccepted, CertificateBlocked, CertificateExpired),
        path_parameters=PATH,
    ),
)
