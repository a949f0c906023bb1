"""Certificates for many recipients at once."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.bulk import JOB_EXAMPLE
from walletsvc.api.certificate_schemas import BatchOut, BatchRowOut, BatchRows, NewBatch
from walletsvc.api.certificates.common import (
    LINKS_EXAMPLE,
    TAG,
    end,
    programme,
    require_origin,
)
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import DryRun, Page
from walletsvc.certificates import batches, recipients
from walletsvc.certificates.models import BatchRow, Certificate
from walletsvc.certificates.recipients import Recipient
from walletsvc.core.errors import NotAccepted, NotFound, Refused, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.ledger.models import Unit
from walletsvc.programmes.models import Programme

_ROW: Final = re.compile(r"[0-9]{1,9}")


def begin_batch(call: Call) -> BatchOut:
    """Issue to many."""
    body: NewBatch = call.body
    query: DryRun = call.query
    chosen = programme(call, body.programme)
    job = batches.begin(
        call.session,
        programme=chosen,
        recipients=_recipients(call, body, chosen),
        origin=require_origin(call, body.origin),
        expires_at=end(chosen, body.expires_on, call.now),
        branch_id=call.key.branch_id,
        actor=call.actor,
        reason=body.reason,
        now=call.now,
    )
    return BatchOut(
        job=None if query.dry_run else present.bulk_job(job, call.now),
        certificates=job.total,
        total_amount=job.parameters["amount"],
        dry_run=query.dry_run,
    )


def list_batch(call: Call) -> BatchRows:
    """The job and its list."""
    query: Page = call.query
    job_id = call.path["batch_id"]
    if not PUBLIC_ID.fullmatch(job_id):
        raise NotFound("There is no such bulk job.")
    job = batches.find(call.session, job_id, call.key.organisation_id)
    after = 0
    if query.cursor is not None:
        if not _ROW.fullmatch(query.cursor):
            raise wrong("cursor", "is not a cursor of this list", "invalid")
        after = int(query.cursor)
    rows = batches.rows(call.session, job, after=after, limit=query.limit + 1)
    part = rows[: query.limit]
    return BatchRows(
        job=present.bulk_job(job, call.now),
        items=[_row(call, row, certificate) for row, certificate in part],
        next_cursor=str(part[-1][0].row) if len(rows) > query.limit else None,
    )


def _recipients(call: Call, body: NewBatch, chosen: Programme) -> list[Recipient]:
    if sum(given is not None for given in (body.rows, body.csv, body.xlsx)) != 1:
        raise wrong("rows", "is needed, or `csv`, or `xlsx`, and only one of them", "required")
    scale = call.session.get_one(Unit, chosen.unit_id).scale
    if body.csv is not None:
        return recipients.read_csv(body.csv.encode(), scale)
    if body.xlsx is not None:
        try:
            return recipients.read_xlsx(b64decode(body.xlsx, validate=True), scale)
        except ValueError:
            raise wrong("xlsx", "must be base64", "invalid_format") from None
    return [
        Recipient(f"rows.{place}", row.name, row.amount, row.language)
        for place, row in enumerate(body.rows or ())
    ]


def _row(call: Call, row: BatchRow, certificate: Certificate | None) -> BatchRowOut:
    may_see_codes = Scope.CERTIFICATES_MANAGE in call.key.scopes
    return BatchRowOut(
        row=row.row,
        recipient_name=row.recipient_name,
        amount=row.face_value,
        language="en" if row.language == "en" else "ru",
        certificate=certificate.public_id if certificate else None,
        links=present.links(call.deps.settings, certificate) if certificate else None,
        code=certificate.code if certificate and may_see_codes else None,
    )


_JOB_EXAMPLE: Final = {
    **JOB_EXAMPLE,
    "kind": batches.KIND,
    "title": "120 certificates of 'spa-gift'",
    "done": 80,
    "total": 120,
    "percent": 66,
    "result": {"issued": 80},
}

OPERATIONS: Final = (
    Operation(
        id="beginCertificateBatch",
        method="POST",
        path="/certificates/batches",
        tag=TAG,
        scope=Scope.CERTIFICATES_MANAGE,
        summary="Issue certificates to many",
        description=f"Begins a bulk job that issues a certificate to each of up to "
        f"{recipients.MOST_ROWS:,} recipients, exactly once. Every bad row is named by its place "
        "and field, and nothing is begun if there is one. `GET /bulk-jobs/{id}` tells how far it "
        "is; it can be paused and resumed there.",
        handler=begin_batch,
        status=202,
        body=NewBatch,
        body_example={
            "programme": "spa-gift",
            "origin": "free",
            "reason": "Новый год для партнёров",
            "expires_on": "2027-03-31",
            "rows": [{"name": "Игорь", "amount": 500000, "language": "ru"}],
        },
        query=DryRun,
        answer=BatchOut,
        answer_example={
            "job": _JOB_EXAMPLE,
            "certificates": 120,
            "total_amount": 60000000,
            "dry_run": False,
        },
        key=KeyRule.REQUIRED,
        problems=(Refused, NotAccepted),
    ),
    Operation(
        id="listCertificateBatch",
        method="GET",
        path="/certificates/batches/{batch_id}",
        tag=TAG,
        scope=Scope.CERTIFICATES_READ,
        summary="List a batch",
        description="The recipients in the order of the list, each with the certificate once it "
        "is issued. The links show the code to whoever opens them.",
        handler=list_batch,
        query=Page,
        answer=BatchRows,
        answer_example={
            "job": _JOB_EXAMPLE,
            "items": [
                {
                    "row": 1,
                    "recipient_name": "Игорь",
                    "amount": 500000,
                    "language": "ru",
                    "certificate": "5c8e1g4j7m0q3s6v9y2b",
                    "links": LINKS_EXAMPLE,
                    "code": "7KQM-3XRT-9WPA-G2HD",
                }
            ],
            "next_cursor": None,
        },
        path_parameters={"batch_id": "The job's id, as beginning it answered."},
    ),
)
