"""Holds: value of a card or a certificate reserved before a payment, taken after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.cards import TRANSACTION_EXAMPLE
from walletsvc.api.holds.common import EXAMPLE, PATH, TAG, of_path, shown
from walletsvc.api.holds_schemas import Captured, Held, HoldOut, NewCapture, NewHold
from walletsvc.api.operations import Call, KeyRule, Operation, require_scope
from walletsvc.api.sales.common import caller
from walletsvc.api.schemas import DryRun
from walletsvc.cards import queries as cards
from walletsvc.certificates import queries as certificates
from walletsvc.certificates.locking import lock
from walletsvc.certificates.service import require_spendable
from walletsvc.core.errors import (
    CertificateBlocked,
    CertificateExpired,
    Conflict,
    HoldClosed,
    InsufficientFunds,
    NotAccepted,
    NotFound,
    NotVerified,
    PresenceRequired,
    Refused,
    wrong,
)
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.ledger import service as ledger
from walletsvc.ledger.queries import explain, posted
from walletsvc.merchants.acceptance import accepts, require_open_branch
from walletsvc.sales import presence
from walletsvc.sales.presence import Shown


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Whose value is to be reserved, and what shows that the card's holder is there."""

    account_id: int
    card_id: int | None = None
    shown: Shown = Shown()  # noqa: RUF009 - it is frozen


def create_hold(call: Call) -> Held:
    """Reserve value of a card or a certificate."""
    body: NewHold = call.body
    query: DryRun = call.query
    if (body.card_id is None) == (body.certificate_id is None):
        raise wrong("card_id", "is needed, or `certificate_id`, and not both", "required")
    require_open_branch(call.session, call.key.branch_id)
    if body.card_id is not None:
        wanted = _card(call, body.card_id, body)
    elif body.presentation is not None or body.proof is not None:
        field = "proof" if body.presentation is None else "presentation"
        raise wrong(field, "needs a card", "not_allowed")
    else:
        wanted = _certificate(call, body.certificate_id or "")
    made = ledger.hold(
        call.session,
        wanted.account_id,
        body.amount,
        acceptor_id=call.key.organisation_id,
        actor=call.actor,
        reason=body.reason,
        now=call.now,
        expires_at=call.now + timedelta(seconds=body.seconds),
        branch_id=call.key.branch_id,
        card_id=wanted.card_id,
    )
    # After the lock of the account, as in a sale.
    presence.use_up(call.session, caller(call), wanted.shown, f"hold {made.public_id}", call.now)
    return Held(
        hold=shown(call, made, dry_run=query.dry_run),
        available=explain(call.session, made.account_id).available(call.now),
        dry_run=query.dry_run,
    )


def capture_hold(call: Call) -> Captured:
    """Take what is held, or a part of it."""
    body: NewCapture = call.body
    query: DryRun = call.query
    found = of_path(call)
    require_open_branch(call.session, call.key.branch_id)
    done = ledger.capture(
        call.session,
        found.id,
        body.amount,
        actor=call.actor,
        reason=found.reason,
        now=call.now,
        branch_id=call.key.branch_id,
    )
    row = posted(call.session, done.id)
    return Captured(
        hold=shown(call, found, dry_run=query.dry_run),
        transaction=present.transaction(row, dry_run=query.dry_run),
        balance=row.balance_after or 0,
        dry_run=query.dry_run,
    )


def void_hold(call: Call) -> HoldOut:
    """Release what is held."""
    found = of_path(call)
    return shown(call, ledger.void(call.session, found.id, now=call.now))


def _card(call: Call, public_id: str, body: NewHold) -> _Wanted:
    view = None
    if PUBLIC_ID.fullmatch(public_id):
        view = cards.find_anywhere(call.session, public_id, acting=True)
    # What is not accepted looks like what does not exist: ids of others are nobody's business.
    if view is None or not accepts(
        call.session,
        issuer_id=view.programme.organisation_id,
        acceptor_id=call.key.organisation_id,
        points=True,
    ):
        raise NotFound("There is no such card.")
    if view.card.closed_at is not None:
        raise Refused("The card is closed.")
    if view.programme.verified_only and view.card.verified_at is None:
        raise NotVerified("The card cannot spend: its holder has not proved a phone yet.")
    policy = view.programme.code_policy
    shown = presence.shown(
        call.session, caller(call), view.card.id, policy, body.presentation, body.proof,
        at=call.now, now=call.now,
    )  # fmt: skip
    if not shown.present:
        raise presence.missing()
    return _Wanted(view.card.account_id, view.card.id, shown)


def _certificate(call: Call, public_id: str) -> _Wanted:
    require_scope(call, Scope.CERTIFICATES_REDEEM)
    view = None
    if PUBLIC_ID.fullmatch(public_id):
        view = certificates.find(call.session, call.key.organisation_id, public_id)
    if view is None:
        raise NotFound("There is no such certificate.")
    # Looked at under its account's lock: who blocks it at the same time comes before or after.
    found, _ = lock(call.session, view.certificate, call.now)
    require_spendable(found, call.now)
    return _Wanted(found.account_id)


_CAPTURED_EXAMPLE: Final = {
    **EXAMPLE,
    "state": "captured",
    "captured": 250,
    "transaction": "8w2e4r6t0y1v3x5z7b9d",
    "closed_at": "2026-11-20T10:15:42Z",
}
OPERATIONS: Final = (
    Operation(
        id="createHold",
        method="POST",
        path="/holds",
        brief=True,
        tag=TAG,
        scope=Scope.HOLDS_WRITE,
        summary="Reserve value",
        description="Reserves value of a card or a certificate before a payment is certain, so "
        "that nobody else spends it meanwhile. Capture it when the payment went well, void it "
        "when it did not; otherwise it is over by itself after `seconds`. Value that another "
        "organisation issued can be reserved if yours accepts it. Of a certificate it takes the "
        "scope `certificates:redeem` as well; of a card whose programme asks for a code of the "
        "moment, a `presentation` or a `proof`, which is used up.",
        handler=create_hold,
        status=201,
        body=NewHold,
        body_example={
            "card_id": "3h7k9m2p5r8t0v4x6z1b",
            "amount": 300,
            "seconds": 900,
            "reason": "Receipt 4711",
        },
        query=DryRun,
        answer=Held,
        answer_example={"hold": EXAMPLE, "available": 120, "dry_run": False},
        key=KeyRule.REQUIRED,
        problems=(
            InsufficientFunds,
            NotAccepted,
            NotVerified,
            CertificateBlocked,
            CertificateExpired,
            PresenceRequired,
            Refused,
            Conflict,
            NotFound,
        ),
    ),
    Operation(
        id="captureHold",
        method="POST",
        path="/holds/{hold_id}/capture",
        tag=TAG,
        scope=Scope.HOLDS_WRITE,
        summary="Take what is held",
        description="Takes all of it or, with `amount`, a part; the rest is free again. A hold is "
        "captured once. From `expires_at` on it cannot be: `hold_closed` tells the `state`.",
        handler=capture_hold,
        body=NewCapture,
        body_example={"amount": 250},
        query=DryRun,
        answer=Captured,
        answer_example={
            "hold": _CAPTURED_EXAMPLE,
            "transaction": {
                **TRANSACTION_EXAMPLE,
                "type": "capture",
                "amount": -250,
                "balance_after": 170,
                "reason": "Receipt 4711",
                "branch": "1z3b5d7f9h2k4m6p8r0t",
            },
            "balance": 170,
            "dry_run": False,
        },
        key=KeyRule.REQUIRED,
        problems=(HoldClosed, NotAccepted, Refused, Conflict),
        path_parameters=PATH,
    ),
    Operation(
        id="voidHold",
        method="DELETE",
        path="/holds/{hold_id}",
        tag=TAG,
        scope=Scope.HOLDS_WRITE,
        summary="Release what is held",
        description="The payment did not happen: what is held is free again. Voiding a voided "
        "hold changes nothing.",
        handler=void_hold,
        answer=HoldOut,
        answer_example={
            **EXAMPLE,
            "state": "voided",
            "closed_at": "2026-11-20T10:16:10Z",
        },
        problems=(HoldClosed, Conflict),
        path_parameters=PATH,
    ),
)
