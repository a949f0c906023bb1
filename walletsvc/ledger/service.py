"""The ledger's verbs. Each runs inside the caller's transaction and takes the time from it.

A balance counts every matured lot, so `sum of lots == max(balance, 0)` on a holder's account
at any moment. A lot past its end stays in the balance until it is written off, but is skipped
by spending and left out of `available`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.errors import (
    AlreadyReversed,
    InsufficientFunds,
    NotFound,
    Refused,
)
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import rules
from walletsvc.ledger.accounts import (
    LockedAccount,
    ensure_unit,
    lock,
    open_account,
    system_account,
)
from walletsvc.ledger.checks import check, wrong
from walletsvc.ledger.lots import open_lots, standing_in, taken_by
from walletsvc.ledger.many import credit_many
from walletsvc.ledger.models import AccountKind, SystemCode, Transaction, TransactionType
from walletsvc.ledger.posting import Leg, NewLot, Posting, post

__all__ = [
    "credit",
    "credit_many",
    "debit",
    "ensure_unit",
    "lock",
    "open_account",
    "reverse",
    "system_account",
]

_ORIGINAL = text("""
SELECT t.organisation_id, t.type, e.account_id, e.unit_id, e.amount, a.kind
  FROM ledger_transactions t
  JOIN ledger_entries e ON e.transaction_id = t.id
  JOIN accounts a ON a.id = e.account_id
 WHERE t.id = :id
 ORDER BY e.id
""")
_IS_REVERSED = text("SELECT EXISTS (SELECT FROM ledger_transactions WHERE undoes_id = :id)")


def credit(
    session: Session,
    account_id: int,
    amount: int,
    *,
    source: str,
    actor: Actor,
    reason: str,
    now: datetime,
    against: SystemCode = SystemCode.ISSUANCE,
    branch_id: int | None = None,
    expires_at: datetime | None = None,
    promotional: bool = False,
    lane: Lane = Lane.INTERACTIVE,
) -> Transaction:
    """Give a holder `amount` minor units, spendable at once.

    Points become a lot with its `source` and end; a debt is repaid from it first. `against`
    is where certificate money comes from: CASH_CLEARING when paid, ISSUANCE when given.
    Raises InputError (amount, texts, an end not after now), NotFound, Conflict (closed
    account), Refused (the balance would pass MAX_AMOUNT).
    """
    check(amount, reason, source)
    if expires_at is not None and expires_at <= now:
        raise wrong("expires_at", "must be later than now")
    account = lock(session, [account_id], against=against)[account_id]
    standing = account.standing
    if standing.balance + amount > MAX_AMOUNT:
        raise Refused("The balance would be larger than an account can hold.")
    new_lots: list[NewLot] = []
    if account.has_lots:
        left = amount - min(standing.debt, amount)
        new_lots.append(NewLot(account_id, amount, left, source, promotional, expires_at))
    elif expires_at is not None:
        raise wrong("expires_at", "certificate money has no end of its own")
    posting = Posting(
        organisation_id=account.organisation_id,
        type=TransactionType.CREDIT,
        actor=actor,
        reason=reason,
        at=now,
        legs=_legs(session, account, amount, against, now),
        new_lots=new_lots,
        branch_id=branch_id,
    )
    return post(session, posting, lane=lane)


def debit(
    session: Session,
    account_id: int,
    amount: int,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    against: SystemCode = SystemCode.REDEMPTION,
    branch_id: int | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> Transaction:
    """Take `amount` minor units from a holder, from the lots that end soonest first.

    Raises InputError, NotFound, Conflict (closed account) and InsufficientFunds, whose data
    holds `available`: the most that could have been taken.
    """
    check(amount, reason)
    account = lock(session, [account_id], against=against)[account_id]
    posting = Posting(
        organisation_id=account.organisation_id,
        type=TransactionType.DEBIT,
        actor=actor,
        reason=reason,
        at=now,
        legs=_legs(session, account, -amount, against, now),
        moves=_take(session, account, amount, now),
        branch_id=branch_id,
    )
    return post(session, posting, lane=lane)


def reverse(
    session: Session,
    transaction_id: int,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    branch_id: int | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> Transaction:
    """Undo a credit or a debit in full, by a new transaction that points back at it.

    A debit's reversal repays debt first and fills the very lots it emptied, dates unchanged;
    a credit's takes what its own lot still has, then from others, earliest-expiring first.
    Raises NotFound, AlreadyReversed, Refused (a reversal itself cannot be undone), Conflict
    (closed account) and InsufficientFunds (the points were spent and debt is not allowed).
    """
    check(1, reason)
    original = _find(session, transaction_id)
    holder = original.holder
    account = lock(session, [holder.account_id])[holder.account_id]
    # Asked only now: whoever reversed it first held this lock until its commit.
    if session.execute(_IS_REVERSED, {"id": transaction_id}).scalar_one():
        raise AlreadyReversed("This transaction was reversed before.")
    if holder.amount > 0:
        moves = _take(session, account, holder.amount, now, credit_id=transaction_id)
    else:
        moves = _give_back(session, account, -holder.amount, transaction_id)
    posting = Posting(
        organisation_id=original.organisation_id,
        type=TransactionType.REVERSAL,
        actor=actor,
        reason=reason,
        at=now,
        legs=[
            _holder_leg(account, -holder.amount),
            *(Leg(leg.account_id, leg.unit_id, -leg.amount) for leg in original.system),
        ],
        moves=moves,
        branch_id=branch_id,
        undoes_id=transaction_id,
    )
    return post(session, posting, lane=lane)


@dataclass(frozen=True, slots=True)
class _Original:
    """The transaction to undo; entries never change, so it is read without a lock."""

    organisation_id: int
    holder: Leg
    system: list[Leg]


def _find(session: Session, transaction_id: int) -> _Original:
    rows = session.execute(_ORIGINAL, {"id": transaction_id}).all()
    if not rows:
        raise NotFound("There is no such transaction.")
    kind = TransactionType(rows[0].type)
    if kind is TransactionType.REVERSAL:
        raise Refused("A reversal cannot be reversed: post the original again instead.")
    if kind not in (TransactionType.CREDIT, TransactionType.DEBIT):
        raise Refused(f"A transaction of type {kind} cannot be reversed.")
    legs = [(row.kind, Leg(row.account_id, row.unit_id, row.amount)) for row in rows]
    holders = [leg for owner, leg in legs if owner != AccountKind.SYSTEM]
    system = [leg for owner, leg in legs if owner == AccountKind.SYSTEM]
    return _Original(rows[0].organisation_id, holders[0], system)


def _take(
    session: Session,
    account: LockedAccount,
    amount: int,
    now: datetime,
    *,
    credit_id: int | None = None,
) -> dict[int, int]:
    """Which lots pay `amount`; InsufficientFunds when the account may not fall that low."""
    lots = open_lots(session, account.id) if account.has_lots else []
    payers = rules.spendable(lots, now, first=credit_id)
    available = rules.available(account.standing, lots, payers)
    if amount > available:
        raise InsufficientFunds("There is not enough on the account.", available=available)
    return rules.take(payers, amount)


def _give_back(
    session: Session, account: LockedAccount, amount: int, debit_id: int
) -> dict[int, int]:
    """Which lots get `amount` back when a debit is reversed, after the debt is repaid."""
    left = amount - min(account.standing.debt, amount)
    if not account.has_lots or not left:
        return {}
    moves = rules.give_back(taken_by(session, debit_id), left)
    left -= sum(moves.values())
    if left:
        others = rules.give_back(standing_in(session, account.id), left)
        if sum(others.values()) != left:
            raise AssertionError("the account's lots have no room for what they once paid")
        moves = rules.add(moves, others)
    return moves


def _holder_leg(account: LockedAccount, amount: int) -> Leg:
    return Leg(account.id, account.unit_id, amount, account.standing.balance + amount)


def _legs(
    session: Session, account: LockedAccount, amount: int, against: SystemCode, now: datetime
) -> list[Leg]:
    """The holder's entry and the system's."""
    counter = account.against_id
    if counter is None:
        counter = system_account(
            session,
            organisation_id=account.organisation_id,
            unit_id=account.unit_id,
            code=against,
            now=now,
        )
    return [_holder_leg(account, amount), Leg(counter, account.unit_id, -amount)]
