"""Looking certificates up, reading them, their histories and the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from walletsvc.access.models import ApiKey
from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.certificate_schemas import (
    BranchFiguresOut,
    CertificateCode,
    CertificateExplanation,
    CertificateOut,
    PartOut,
    Period,
    Summary,
)
from walletsvc.api.certificates.common import (
    EXAMPLE,
    PATH,
    TAG,
    TRANSACTION_EXAMPLE,
    available,
    find,
    shown,
)
from walletsvc.api.operations import Call, Operation
from walletsvc.api.schemas import Page, TransactionList
from walletsvc.certificates import figures, lookup, queries
from walletsvc.certificates.figures import BranchFigures
from walletsvc.certificates.states import state
from walletsvc.core.errors import NotFound, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.ledger.queries import explain as explain_account
from walletsvc.ledger.queries import history, place_in_history
from walletsvc.storage.limits import Limit

_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)


def look_up(call: Call) -> CertificateOut:
    """The certificate with this code. Every miss answers the same."""
    body: CertificateCode = call.body
    found = lookup.look_up(call.session, body.code, call.key.organisation_id)
    view = found and queries.view(call.session, call.key.organisation_id, found)
    if not view:
        raise NotFound("There is no such certificate.")
    return shown(call, view)


def tries(key: ApiKey, _path: Mapping[str, str]) -> Sequence[tuple[Limit, str]]:
    """Whose share of failed look-ups a call counts against."""
    return (
        (lookup.PER_KEY, key.public_id),
        (lookup.PER_ORGANISATION, str(key.organisation_id)),
    )


def read_certificate(call: Call) -> CertificateOut:
    """A certificate as it is now."""
    return shown(call, find(call))


def list_transactions(call: Call) -> TransactionList:
    """A certificate's history, newest first."""
    query: Page = call.query
    found = find(call, own=True).certificate
    before = None
    if query.cursor is not None:
        if PUBLIC_ID.fullmatch(query.cursor):
            before = place_in_history(call.session, found.account_id, query.cursor)
        if before is None:
            raise wrong("cursor", "is not a cursor of this list", "invalid")
    rows = history(call.session, found.account_id, before_id=before, limit=query.limit + 1)
    part = rows[: query.limit]
    return TransactionList(
        items=[present.transaction(row) for row in part],
        next_cursor=part[-1].public_id if len(rows) > query.limit else None,
    )


def explain(call: Call) -> CertificateExplanation:
    """Why a certificate is worth what it is."""
    view = find(call, own=True)
    found = explain_account(call.session, view.account.id).at(call.now)
    return CertificateExplanation(
        balance=view.balance,
        held=found.held,
        holds=[present.active_hold(hold) for hold in found.holds],
        available=available(call, view),
        state=state(view.certificate, call.now),
        parts=[
            PartOut.model_validate(asdict(part))
            for part in queries.parts(call.session, view.certificate)
        ],
    )


def summarise(call: Call) -> Summary:
    """The figures of a period."""
    query: Period = call.query
    # Until now means with what happened at this very moment.
    until = query.until or call.now + timedelta(microseconds=1)
    if query.since is not None and query.since >= until:
        raise wrong("from", "must lie before `to`", "out_of_range")
    found = figures.by_branch(
        call.session, call.key.organisation_id, query.since or _BEGINNING, until
    )
    return Summary(
        since=query.since,
        until=query.until or call.now,
        branches=[BranchFiguresOut(**asdict(row)) for row in found],
        totals=_totals(found),
    )


def _totals(rows: Sequence[BranchFigures]) -> list[BranchFiguresOut]:
    """The sums of all branches. A certificate used in two branches counts in both."""
    totals: dict[str, dict[str, Any]] = {}
    counted = [field.name for field in fields(BranchFigures) if field.type == "int"]
    for row in rows:
        total = totals.setdefault(row.currency, dict.fromkeys(counted, 0))
        for name in counted:
            total[name] += getattr(row, name)
    return [
        BranchFiguresOut(branch=None, name="", currency=currency, **total)
        for currency, total in totals.items()
    ]


_FIGURES_EXAMPLE: Final = {
    "branch": "9b2d5f8h1k4n7r0t3w6z",
    "name": "На набережной",
    "currency": "RUB",
    "sold_count": 41,
    "sold": 12300000,
    "given_count": 2,
    "given": 600000,
    "used": 9,
    "redemptions": 12,
    "debited": 1840500,
    "refunded": 42000,
    "paid_out": 0,
    "outstanding": 11101500,
}

OPERATIONS: Final = (
    Operation(
        id="lookUpCertificate",
        method="POST",
        path="/certificates/lookup",
        tag=TAG,
        scope=Scope.CERTIFICATES_REDEEM,
        summary="Look a certificate up by its code",
        description="For tills: the certificate that this code is of, if your organisation issued "
        "or accepts it, whatever its state. A code that is mistyped, unknown or of a certificate "
        f"you do not accept answers the same 404. After {lookup.PER_KEY.most} failed tries of a "
        f"key or {lookup.PER_ORGANISATION.most} of an organisation in ten minutes there is no "
        "answer until the time in `Retry-After` is over. A malformed request (400) is no try.",
        handler=look_up,
        body=CertificateCode,
        body_example={"code": "7KQM-3XRT-9WPA-G2HD"},
        answer=CertificateOut,
        answer_example=EXAMPLE,
        problems=(NotFound,),
        limits=tries,
    ),
    Operation(
        id="summariseCertificates",
        method="GET",
        path="/certificates/summary",
        tag=TAG,
        scope=Scope.CERTIFICATES_READ,
        summary="Sold, used, debited, outstanding",
        description="The figures of a period by branch, counted from the ledger. `used`, `debited` "
        "and `refunded` are what happened at your tills, whoever issued the certificates; the "
        "rest is about certificates that you issued. What is `outstanding` is owed, expired "
        "certificates among it. The accountant signs off what is made of it.",
        handler=summarise,
        query=Period,
        answer=Summary,
        answer_example={
            "since": "2026-11-01T00:00:00Z",
            "until": "2026-12-01T00:00:00Z",
            "branches": [_FIGURES_EXAMPLE],
            "totals": [{**_FIGURES_EXAMPLE, "branch": None, "name": ""}],
        },
    ),
    Operation(
        id="readCertificate",
        method="GET",
        path="/certificates/{certificate_id}",
        tag=TAG,
        scope=Scope.CERTIFICATES_READ,
        summary="Read a certificate",
        description="The certificate with its state and balance. An organisation that only accepts "
        "it sees these, not the recipient, the links or its history.",
        handler=read_certificate,
        answer=CertificateOut,
        answer_example=EXAMPLE,
        path_parameters=PATH,
    ),
    Operation(
        id="listCertificateTransactions",
        method="GET",
        path="/certificates/{certificate_id}/transactions",
        tag=TAG,
        scope=Scope.CERTIFICATES_READ,
        summary="List a certificate's transactions",
        description="Everything that happened to its money, newest first. What was refunded after "
        "a transfer is in the history of the successor.",
        handler=list_transactions,
        query=Page,
        answer=TransactionList,
        answer_example={"items": [TRANSACTION_EXAMPLE], "next_cursor": "8w2e4r6t0y1v3x5z7b9d"},
        path_parameters=PATH,
    ),
    Operation(
        id="explainCertificate",
        method="GET",
        path="/certificates/{certificate_id}/explanation",
        tag=TAG,
        scope=Scope.CERTIFICATES_READ,
        summary="Explain a certificate's balance",
        description="What the balance is made of: the parts sum to it.",
        handler=explain,
        answer=CertificateExplanation,
        answer_example={
            "balance": 215950,
            "held": 0,
            "holds": [],
            "available": 215950,
            "state": "active",
            "parts": [
                {"kind": "issued", "count": 1, "amount": 300000},
                {"kind": "redeemed", "count": 1, "amount": -84050},
            ],
        },
        path_parameters=PATH,
    ),
)
