"""Undoing what was posted, in full or in parts, by reference to what it undoes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.errors import AlreadyReversed, NotFound, Refused
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import rules
from walletsvc.ledger.accounts import LockedAccount
from walletsvc.ledger.checks import check
from walletsvc.ledger.lots import claims, standing_in, undone
from walletsvc.ledger.models import AccountKind, SystemCode, Transaction, TransactionType
from walletsvc.ledger.posting import Leg, Posting, post
from walletsvc.ledger.settling import lock_settled
from walletsvc.ledger.spending import take_from_lots

_GIVINGS: Final = (TransactionType.CREDIT, TransactionType.ACCRUAL)
_SPENDINGS: Final = (TransactionType.DEBIT, TransactionType.CAPTURE)

# An accrual has no holder's entry: whose it is says its lot, which moves when accounts merge.
_ORIGINAL: Final = text("""
SELECT t.organisation_id, t.type, t.card_id, e.account_id, e.unit_id, e.amount, a.kind, a.code,
       CASE WHEN t.type = 'accrual'
            THEN (SELECT l.account_id FROM lots l WHERE l.transaction_id = t.id) END AS accrued_to
  FROM ledger_transactions t
  JOIN ledger_entries e ON e.transaction_id = t.id
  JOIN accounts a ON a.id = e.account_id
 WHERE t.id = :id
 ORDER BY e.id
""")
_ACCRUED_LOT: Final = text(
    "SELECT id, matured_id IS NOT NULL AS matured FROM lots WHERE transaction_id = :id"
)


def reverse(
    session: Session,
    transaction_id: int,
    *,
    amount: int | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
    branch_id: int | None = None,
    card_id: int | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> Transaction:
    """Undo `amount` of a credit, an accrual, a debit or a capture: what is left of it when None.

    The new transaction points back at the old one, which may be undone in any number of parts.
    Undoing a spending repays debt first and then fills the very lots it emptied, dates
    unchanged; undoing a giving takes what its own lot still has, then from others,
    earliest-expiring first. It happens on the account that has the value now, if accounts were
    merged since. `card_id` is the card that acted, that of the original when None.

    Raises NotFound, AlreadyReversed (nothing is left to undo), Refused (more than is left, which
    its data names as `reversible`; or not of a kind that can be undone), Conflict (closed
    account) and InsufficientFunds (the points were spent and debt is not allowed).
    """
    check(1 if amount is None else amount, reason)
    original = _find(session, transaction_id)
    account_id = original.account_id
    account = lock_settled(session, [account_id], now=now, lane=lane)[account_id]
    # Asked only now: whoever reversed a part of it held this lock until its commit.
    before = undone(session, transaction_id)
    part = _part(original.amount - before, amount)
    legs, moves = _undo(session, original, account, before, part, now)
    posting = Posting(
        organisation_id=original.organisation_id,
        type=TransactionType.REVERSAL,
        actor=actor,
        reason=reason,
        at=now,
        legs=legs,
        moves=moves,
        branch_id=branch_id,
        card_id=original.card_id if card_id is None else card_id,
        undoes_id=transaction_id,
        also_touched=(account.id,),
    )
    return post(session, posting, lane=lane)


def _undo(
    session: Session,
    original: _Original,
    account: LockedAccount,
    before: int,
    part: int,
    now: datetime,
) -> tuple[list[Leg], dict[int, int]]:
    """The entries and the movements of lots that undo `part`, `before` having been undone."""
    if original.type in _SPENDINGS:
        moves = _give_back(session, account, original.id, before, part)
        return [_holder_leg(account, part), *original.undoing(part)], moves
    if original.type is TransactionType.ACCRUAL:
        pending = _pending_lot(session, original.id)
        if pending is not None:
            return original.undoing(part, with_pending=True), {pending: -part}
    moves = take_from_lots(session, account, part, now, credit_id=original.id)
    return [_holder_leg(account, -part), *original.undoing(part)], moves


def _part(left: int, wanted: int | None) -> int:
    if not left:
        raise AlreadyReversed("This transaction was reversed before.")
    if wanted is not None and wanted > left:
        raise Refused("There is less left of this transaction to undo.", reversible=left)
    return left if wanted is None else wanted


@dataclass(frozen=True, slots=True)
class _Original:
    """The transaction to undo; entries never change, so it is read without a lock."""

    id: int
    organisation_id: int
    type: TransactionType
    card_id: int | None
    account_id: int
    amount: int
    system: Mapping[Leg, bool]  # and whether it is the entry of what is accrued, not available

    def undoing(self, part: int, *, with_pending: bool = False) -> list[Leg]:
        """The system's entries that undo `part`; what had matured is not pending any more."""
        return [
            Leg(leg.account_id, leg.unit_id, -part if leg.amount > 0 else part)
            for leg, pending in self.system.items()
            if with_pending or not pending
        ]


def _find(session: Session, transaction_id: int) -> _Original:
    rows = session.execute(_ORIGINAL, {"id": transaction_id}).all()
    if not rows:
        raise NotFound("There is no such transaction.")
    kind = TransactionType(rows[0].type)
    if kind is TransactionType.REVERSAL:
        raise Refused("A reversal cannot be reversed: post the original again instead.")
    if kind not in (*_GIVINGS, *_SPENDINGS):
        raise Refused(f"A transaction of type {kind} cannot be reversed.")
    holders = [row.account_id for row in rows if row.kind != AccountKind.SYSTEM]
    system = {
        Leg(row.account_id, row.unit_id, row.amount): row.code == SystemCode.PENDING
        for row in rows
        if row.kind == AccountKind.SYSTEM
    }
    return _Original(
        transaction_id,
        rows[0].organisation_id,
        kind,
        rows[0].card_id,
        holders[0] if holders else rows[0].accrued_to,
        abs(rows[0].amount),
        system,
    )


def _pending_lot(session: Session, accrual_id: int) -> int | None:
    """The accrual's lot while it has not matured."""
    lot = session.execute(_ACCRUED_LOT, {"id": accrual_id}).one()
    return None if lot.matured else int(lot.id)


def _give_back(
    session: Session, account: LockedAccount, spending_id: int, undone_before: int, part: int
) -> dict[int, int]:
    """Which lots get `part` back when a spending is undone, after the debt is repaid."""
    left = part - min(account.standing.debt, part)
    if not account.has_lots or not left:
        return {}
    moves = rules.give_back(claims(session, spending_id), left)
    left -= sum(moves.values())
    if left:
        lent = standing_in(session, account.id, spending_id, undone_before + part)
        others = rules.give_back([(lot, max(n - moves.get(lot, 0), 0)) for lot, n in lent], left)
        if sum(others.values()) != left:
            raise AssertionError("the account's lots have no room for what they once paid")
        moves = rules.add(moves, others)
    return moves


def _holder_leg(account: LockedAccount, amount: int) -> Leg:
    return Leg(account.id, account.unit_id, amount, account.standing.balance + amount)
