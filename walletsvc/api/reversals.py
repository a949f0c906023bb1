"""Undoing a transaction by reference, in full or in parts."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.cards import TRANSACTION_EXAMPLE
from walletsvc.api.holds_schemas import NewReversal, Reversed
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import DryRun, TransactionOut
from walletsvc.certificates.service import require_not_certificates
from walletsvc.core.errors import (
    AlreadyReversed,
    Conflict,
    InsufficientFunds,
    NotFound,
    Refused,
)
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.ledger import parties
from walletsvc.ledger import service as ledger
from walletsvc.ledger.queries import balance, posted, reversible


def create_reversal(call: Call) -> Reversed:
    """Undo a transaction, or a part of it."""
    body: NewReversal = call.body
    query: DryRun = call.query
    original = _find(call)
    require_not_certificates(call.session, original)
    done = ledger.reverse(
        call.session,
        original,
        amount=body.amount,
        actor=call.actor,
        reason=body.reason,
        now=call.now,
        branch_id=call.key.branch_id,
    )
    row = posted(call.session, done.id)
    return Reversed(
        transaction=present.transaction(row, dry_run=query.dry_run),
        balance=_balance(call, original) if row.balance_after is None else row.balance_after,
        reversible=reversible(call.session, original),
        dry_run=query.dry_run,
    )


def _balance(call: Call, accrual_id: int) -> int:
    """What the holder of an accrual has: its undoing changed nothing of that."""
    statement = text("SELECT account_id FROM lots WHERE transaction_id = :id")
    account_id = call.session.execute(statement, {"id": accrual_id}).scalar_one()
    return balance(call.session, account_id)


def read_transaction(call: Call) -> TransactionOut:
    """A transaction as its holder's history shows it."""
    return present.transaction(posted(call.session, _parties(call).transaction_id))


def _find(call: Call) -> int:
    """What the caller's organisation may undo."""
    found = _parties(call)
    parties.require_undoable(found.mover_id, call.key.organisation_id)
    return found.transaction_id


def _parties(call: Call) -> parties.Parties:
    public_id = call.path["transaction_id"]
    if not PUBLIC_ID.fullmatch(public_id):
        raise NotFound("There is no such transaction.")
    return parties.find(call.session, public_id, call.key.organisation_id)


OPERATIONS: Final = (
    Operation(
        id="createReversal",
        method="POST",
        path="/transactions/{transaction_id}/reversals",
        tag="Reversals",
        scope=Scope.REVERSALS_WRITE,
        summary="Undo a transaction",
        description="Undoes a credit, a debit or a capture, or with `amount` a part of it; any "
        "number of times until nothing is left. Points that were spent go back to where they "
        "came from, with their dates. Only the organisation that took the value, or gave it, "
        "can undo that. Undoing a credit whose points were spent is refused: `available` says "
        "how much can be taken back. When more is asked for than is left, `reversible` says how "
        "much is. The issue, a top-up and a payout of a gift certificate have calls of their "
        "own: `…/cancel` and `…/payout/undo`.",
        handler=create_reversal,
        status=201,
        body=NewReversal,
        body_example={"amount": 50, "reason": "One cup came back"},
        query=DryRun,
        answer=Reversed,
        answer_example={
            "transaction": {
                **TRANSACTION_EXAMPLE,
                "type": "reversal",
                "amount": 50,
                "balance_after": 220,
                "reason": "One cup came back",
                "undoes": "2c4e6g8j0m1p3r5t7v9x",
            },
            "balance": 220,
            "reversible": 200,
            "dry_run": False,
        },
        key=KeyRule.REQUIRED,
        problems=(AlreadyReversed, InsufficientFunds, Refused, Conflict),
        path_parameters={"transaction_id": "The transaction's id, as the history shows it."},
    ),
    Operation(
        id="readTransaction",
        method="GET",
        path="/transactions/{transaction_id}",
        tag="Ledger",
        scope=Scope.LEDGER_READ,
        summary="Read a transaction",
        description="One transaction as its holder's history shows it, for the organisation that "
        "issued the value and the one that took or gave it.",
        handler=read_transaction,
        answer=TransactionOut,
        answer_example=TRANSACTION_EXAMPLE,
        path_parameters={"transaction_id": "The transaction's id, as the history shows it."},
    ),
)
