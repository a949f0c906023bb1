"""Blocking certificates and handing them on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from walletsvc.access.rules import Scope
from walletsvc.api.certificate_schemas import (
    Because,
    CertificateOut,
    IssuedCertificate,
    Transfer,
)
from walletsvc.api.certificates.common import EXAMPLE, PATH, TAG, find, shown
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import DryRun
from walletsvc.certificates import queries, service
from walletsvc.core.errors import CertificateExpired, Conflict, Refused
from walletsvc.enrolment.certificates import transfer_certificate


def block(call: Call) -> CertificateOut:
    """Stop a certificate."""
    return _change(call, service.block)


def unblock(call: Call) -> CertificateOut:
    """Let it be spent again."""
    return _change(call, service.unblock)


def _change(call: Call, verb: Callable[..., Any]) -> CertificateOut:
    body: Because = call.body
    certificate = find(call, own=True).certificate
    verb(call.session, certificate, actor=call.actor, reason=body.reason, now=call.now)
    return shown(call, find(call, own=True))


def transfer(call: Call) -> IssuedCertificate:
    """Make it another person's."""
    body: Transfer = call.body
    query: DryRun = call.query
    issued = transfer_certificate(
        call.session,
        find(call, own=True).certificate,
        recipient_name=body.recipient_name,
        language=body.language,
        actor=call.actor,
        reason=body.reason,
        now=call.now,
    )
    view = queries.view(call.session, call.key.organisation_id, issued.certificate)
    return IssuedCertificate(
        certificate=None if query.dry_run or view is None else shown(call, view),
        code=None if query.dry_run else issued.code,
        amount=issued.certificate.face_value,
        dry_run=query.dry_run,
    )


_BLOCKED_EXAMPLE: Final = {
    **EXAMPLE,
    "state": "blocked",
    "available": 0,
    "block_reason": "Утерян, заявление от 22.11.2026",
    "events": [
        {
            "kind": "blocked",
            "reason": "Утерян, заявление от 22.11.2026",
            "actor": "api-key:5k7m9p1r3t6v8x0z2b4d",
            "at": "2026-11-22T10:00:00Z",
        }
    ],
}

OPERATIONS: Final = (
    Operation(
        id="blockCertificate",
        method="POST",
        path="/certificates/{certificate_id}/block",
        tag=TAG,
        scope=Scope.CERTIFICATES_MANAGE,
        summary="Block a certificate",
        description="It cannot be spent from now on; its money stays owed, and the pass in the "
        "phone is voided. Blocking a blocked one changes nothing.",
        handler=block,
        body=Because,
        body_example={"reason": "Утерян, заявление от 22.11.2026"},
        answer=CertificateOut,
        answer_example=_BLOCKED_EXAMPLE,
        key=KeyRule.OPTIONAL,
        problems=(Refused, Conflict),
        path_parameters=PATH,
    ),
    Operation(
        id="unblockCertificate",
        method="POST",
        path="/certificates/{certificate_id}/unblock",
        tag=TAG,
        scope=Scope.CERTIFICATES_MANAGE,
        summary="Unblock a certificate",
        description="It can be spent again, unless it has expired meanwhile.",
        handler=unblock,
        body=Because,
        body_example={"reason": "Нашёлся"},
        answer=CertificateOut,
        answer_example=EXAMPLE,
        key=KeyRule.OPTIONAL,
        problems=(Refused, Conflict),
        path_parameters=PATH,
    ),
    Operation(
        id="transferCertificate",
        method="POST",
        path="/certificates/{certificate_id}/transfer",
        tag=TAG,
        scope=Scope.CERTIFICATES_MANAGE,
        summary="Transfer a certificate",
        description="Makes a new certificate with all that is left, with a code, a link and passes "
        "of its own, and closes the old one: its code is dead, its pass is voided, its history "
        "stays. A blocked one can be transferred too; that replaces a lost code.",
        handler=transfer,
        status=201,
        body=Transfer,
        body_example={"recipient_name": "Света", "reason": "По просьбе владельца"},
        query=DryRun,
        answer=IssuedCertificate,
        answer_example={
            "certificate": {
                **EXAMPLE,
                "id": "1d4g7k0n3q6t9w2z5c8f",
                "recipient_name": "Света",
                "face_value": 215950,
                "transferred_from": EXAMPLE["id"],
            },
            "code": "4TGA-8MWK-2QXD-R7HP",
            "amount": 215950,
            "dry_run": False,
        },
        key=KeyRule.REQUIRED,
        problems=(Refused, Conflict, CertificateExpired),
        path_parameters=PATH,
    ),
)
