"""The ledger: balances explained, what is owed, verification."""

from __future__ import annotations

from datetime import date
from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.ledger_schemas import (
    At,
    CertificateLiability,
    ExplanationOut,
    LiabilityMonth,
    LiabilityOut,
    LotOut,
    PointsLiability,
    VerificationList,
    VerificationOut,
    month,
)
from walletsvc.api.operations import Call, Operation
from walletsvc.api.schemas import Page
from walletsvc.cards.queries import find as find_card
from walletsvc.core.errors import FieldError, InputError, NotFound, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.ledger import queries, verification
from walletsvc.ledger.liability import Points, liability
from walletsvc.ledger.models import Verification
from walletsvc.ledger.queries import LotRow
from walletsvc.programmes.service import points_zones

_LAST: Final = 10


def explain_card(call: Call) -> ExplanationOut:
    """The lots, debt and last movements behind a card's balance."""
    card_id, view = call.path["card_id"], None
    if PUBLIC_ID.fullmatch(card_id):
        view = find_card(call.session, call.key.organisation_id, card_id)
    if view is None:
        raise NotFound("There is no such card.")
    found = queries.explain(call.session, view.account.id).settled(call.now)
    history = queries.history(call.session, view.account.id, limit=_LAST)
    return ExplanationOut(
        account=found.public_id,
        unit=view.unit.code,
        scale=view.unit.scale,
        balance=found.balance,
        held=found.held,
        available=found.available(call.now),
        debt=max(-found.balance, 0),
        lots=[_lot(lot) for lot in found.lots if lot.matured],
        future=[_lot(lot) for lot in found.future],
        holds=[present.active_hold(hold) for hold in found.holds],
        transactions=[present.transaction(row) for row in history],
    )


def _lot(lot: LotRow) -> LotOut:
    return LotOut(
        transaction=lot.transaction_public_id,
        reason=lot.reason,
        source=lot.source,
        promotional=lot.promotional,
        original=lot.original,
        remaining=lot.remaining,
        held=lot.held,
        earned_at=lot.earned_at,
        available_from=lot.available_from,
        expires_at=lot.expires_at,
    )


def read_liability(call: Call) -> LiabilityOut:
    """What the caller's organisation owes, or owed."""
    query: At = call.query
    at = call.now if query.at is None else query.at
    if at > call.now:
        raise wrong("at", "must not lie in the future", "out_of_range")
    found = liability(
        call.session,
        at,
        organisation_id=call.key.organisation_id,
        zones=points_zones(call.session),
    )
    return LiabilityOut(
        at=found.at,
        points=[_points(each) for each in found.points],
        certificates=[
            CertificateLiability(
                currency=each.unit, scale=each.scale, owed=each.owed, certificates=each.count
            )
            for each in found.certificates
        ],
    )


def _points(points: Points) -> PointsLiability:
    months = sorted(
        {*points.available, *points.future}, key=lambda day: (day is None, day or date.min)
    )
    return PointsLiability(
        unit=points.unit,
        scale=points.scale,
        months=[
            LiabilityMonth(
                month=month(day),
                available=points.available.get(day, 0),
                future=points.future.get(day, 0),
            )
            for day in months
        ],
        available=points.available_total,
        future=points.future_total,
        debts=points.debts,
        balance=points.balance,
    )


def begin_verification(call: Call) -> VerificationOut:
    """Have the ledger verified."""
    return _verification(
        call, verification.ask_worker(call.session, actor=call.actor, now=call.now)
    )


def read_verification(call: Call) -> VerificationOut:
    """How a verification went."""
    return _verification(call, _find(call, call.path["verification_id"]))


def list_verifications(call: Call) -> VerificationList:
    """Verifications, newest first."""
    query: Page = call.query
    before = None
    if query.cursor is not None:
        try:
            before = _find(call, query.cursor)
        except NotFound:
            message = "is not a cursor of this list"
            raise InputError(
                f"cursor: {message}.", (FieldError("cursor", message, "invalid"),)
            ) from None
    found = verification.newest(call.session, before=before, limit=query.limit + 1)
    shown = found[: query.limit]
    return VerificationList(
        items=[_verification(call, each) for each in shown],
        next_cursor=shown[-1].public_id if len(found) > query.limit else None,
    )


def _find(call: Call, public_id: str) -> Verification:
    if not PUBLIC_ID.fullmatch(public_id):
        raise NotFound("There is no such verification.")
    return verification.find(call.session, public_id)


def _verification(call: Call, found: Verification) -> VerificationOut:
    """Without what concerns others: their differences, and which of their keys asked."""
    own = call.key.organisation_id
    words = [words for organisation_id, words in found.differences if organisation_id == own]
    done = found.finished_at is not None
    return VerificationOut(
        id=found.public_id,
        state="done" if done else "running",
        asked_at=found.asked_at,
        finished_at=found.finished_at,
        entries=found.entries,
        differences=words,
        clean=not words if done else None,
    )


_TAG: Final = "Ledger"
_LOT: Final = {
    "transaction": "8w2e4r6t0y1v3x5z7b9d",
    "reason": "Order 1207",
    "source": "purchase",
    "promotional": False,
    "original": 100,
    "remaining": 70,
    "held": 0,
    "earned_at": "2026-11-20T09:30:00Z",
    "available_from": "2026-11-20T09:30:00Z",
    "expires_at": "2027-11-20T21:00:00Z",
}
_VERIFICATION: Final = {
    "id": "4c6v8b0n2m4q6w8e1r3t",
    "state": "done",
    "asked_at": "2026-11-20T09:30:00Z",
    "finished_at": "2026-11-20T09:30:41Z",
    "entries": 1204551,
    "differences": [],
    "clean": True,
}
_ASKED: Final = {
    **_VERIFICATION,
    "state": "running",
    "finished_at": None,
    "entries": 0,
    "clean": None,
}

OPERATIONS: Final = (
    Operation(
        id="explainCard",
        method="GET",
        path="/cards/{card_id}/explanation",
        tag=_TAG,
        scope=Scope.LEDGER_READ,
        summary="Explain a card's balance",
        description="The lots inside it with their dates and where they came from, in the order "
        "in which they pay; what comes later; what is reserved; the debt; the last movements."
        " All is told as it is now, whether or not a job has noted it. The lots' `remaining` "
        "sum to the balance, or to 0 when there is a debt.",
        handler=explain_card,
        answer=ExplanationOut,
        answer_example={
            "account": "6b8n0m2q4w6e8r1t3y5v",
            "unit": "points:coffee",
            "scale": 0,
            "balance": 70,
            "held": 0,
            "available": 70,
            "debt": 0,
            "lots": [_LOT],
            "future": [],
            "holds": [],
            "transactions": [],
        },
        path_parameters={"card_id": "The card's id."},
    ),
    Operation(
        id="readLiability",
        method="GET",
        path="/liability",
        tag=_TAG,
        scope=Scope.LEDGER_READ,
        summary="Read what you owe",
        description="Points of your organisation by the month in which they end, debts, and money "
        "on gift certificates, now or at any past moment. The answer for a past moment never "
        "changes with what happens later.",
        handler=read_liability,
        query=At,
        answer=LiabilityOut,
        answer_example={
            "at": "2026-10-31T20:59:59Z",
            "points": [
                {
                    "unit": "points:coffee",
                    "scale": 0,
                    "months": [
                        {"month": "2026-12", "available": 1200, "future": 0},
                        {"month": None, "available": 300, "future": 50},
                    ],
                    "available": 1500,
                    "future": 50,
                    "debts": 40,
                    "balance": 1460,
                }
            ],
            "certificates": [{"currency": "RUB", "scale": 2, "owed": 500000, "certificates": 2}],
        },
    ),
    Operation(
        id="beginVerification",
        method="POST",
        path="/ledger/verifications",
        tag=_TAG,
        scope=Scope.LEDGER_READ,
        summary="Verify the ledger",
        description="Has a worker recompute everything stored from the entries, as it does every "
        "night by itself. Read the verification with its `id` until its `state` is `done`. Send "
        "no body (`Content-Length: 0`).",
        handler=begin_verification,
        status=202,
        answer=VerificationOut,
        answer_example=_ASKED,
    ),
    Operation(
        id="listVerifications",
        method="GET",
        path="/ledger/verifications",
        tag=_TAG,
        scope=Scope.LEDGER_READ,
        summary="List verifications",
        description="Those of the last 90 days, newest first; the installation has one ledger.",
        handler=list_verifications,
        query=Page,
        answer=VerificationList,
        answer_example={"items": [_VERIFICATION], "next_cursor": None},
    ),
    Operation(
        id="readVerification",
        method="GET",
        path="/ledger/verifications/{verification_id}",
        tag=_TAG,
        scope=Scope.LEDGER_READ,
        summary="Read a verification",
        description="How it went. Differences that concern other organisations are not told.",
        handler=read_verification,
        answer=VerificationOut,
        answer_example=_VERIFICATION,
        path_parameters={"verification_id": "The verification's id."},
    ),
)
