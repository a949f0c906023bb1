"""Listing the certificates that the caller's organisation issued."""

from __future__ import annotations

from typing import Final

from sqlmodel import select

from walletsvc.access.rules import Scope
from walletsvc.api.certificate_schemas import CertificateList, CertificateRow, CertificateSearch
from walletsvc.api.certificates.common import EXAMPLE, TAG, programme
from walletsvc.api.operations import Call, Operation
from walletsvc.certificates import listing
from walletsvc.certificates.listing import ListedCertificate
from walletsvc.core.errors import wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.merchants.models import Branch


def list_certificates(call: Call) -> CertificateList:
    """What the caller's organisation issued, newest first."""
    query: CertificateSearch = call.query
    found = listing.issued(
        call.session,
        call.key.organisation_id,
        _wanted(call, query),
        now=call.now,
        before_id=None if query.cursor is None else _place(call, query.cursor),
        limit=query.limit + 1,
    )
    part = found[: query.limit]
    return CertificateList(
        items=[_row(each) for each in part],
        next_cursor=part[-1].public_id if len(found) > query.limit else None,
    )


def _wanted(call: Call, query: CertificateSearch) -> listing.Wanted:
    begins, ends = query.issued_from, query.issued_to
    if begins is not None and ends is not None and begins >= ends:
        raise wrong("issued_from", "must lie before `issued_to`", "out_of_range")
    return listing.Wanted(
        state=query.state,
        programme_id=None if query.programme is None else programme(call, query.programme).id,
        branch_id=None if query.branch is None else _branch(call, query.branch),
        issued_from=begins,
        issued_to=ends,
    )


def _branch(call: Call, public_id: str) -> int:
    found = None
    if PUBLIC_ID.fullmatch(public_id):
        found = call.session.exec(
            select(Branch.id).where(
                Branch.public_id == public_id,
                Branch.organisation_id == call.key.organisation_id,
            )
        ).first()
    if found is None:
        raise wrong("branch", "is not a branch of yours", "unknown")
    return found


def _place(call: Call, cursor: str) -> int:
    found = None
    if PUBLIC_ID.fullmatch(cursor):
        found = listing.place(call.session, call.key.organisation_id, cursor)
    if found is None:
        raise wrong("cursor", "is not a cursor of this list")
    return found


def _row(found: ListedCertificate) -> CertificateRow:
    return CertificateRow(
        id=found.public_id,
        programme=found.programme,
        currency=found.currency,
        state=found.state,
        face_value=found.face_value,
        balance=found.balance,
        available=found.available,
        origin=found.origin,
        recipient_name=found.recipient_name,
        language="en" if found.language == "en" else "ru",
        branch=found.branch,
        issued_at=found.issued_at,
        expires_at=found.expires_at,
    )


OPERATIONS: Final = (
    Operation(
        id="listCertificates",
        method="GET",
        path="/certificates",
        tag=TAG,
        scope=Scope.CERTIFICATES_READ,
        summary="List certificates",
        description="The certificates that your organisation issued, newest first, with what is "
        "left of each; by state, programme, branch of issue and time of issue. Codes and the "
        "links that show them are not among it. Figures are at `/certificates/summary`.",
        handler=list_certificates,
        query=CertificateSearch,
        answer=CertificateList,
        answer_example={
            "items": [{name: EXAMPLE[name] for name in CertificateRow.model_fields}],
            "next_cursor": None,
        },
    ),
)
