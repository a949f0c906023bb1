"""Reading the ledger: a balance, the movements behind it, the lots inside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlmodel import Session, col, select

from walletsvc.core.errors import NotFound
from walletsvc.ledger.explanation import Explanation, HoldRow, LotRow
from walletsvc.ledger.lots import undone
from walletsvc.ledger.models import Account, AccountKind, Entry, Transaction, TransactionType

__all__ = [
    "Explanation",
    "HistoryRow",
    "HoldRow",
    "LotRow",
    "balance",
    "expired_again",
    "explain",
    "history",
    "place_in_history",
    "posted",
    "reversible",
]

_ROW = """
SELECT e.id, t.public_id, t.type, e.amount, e.balance_after, t.at, t.reason, t.actor,
       b.public_id AS branch_public_id, u.public_id AS undoes_public_id,
       c.public_id AS card_public_id
  FROM ledger_entries e
  JOIN ledger_transactions t ON t.id = e.transaction_id
  LEFT JOIN branches b ON b.id = t.branch_id
  LEFT JOIN ledger_transactions u ON u.id = t.undoes_id
  LEFT JOIN cards c ON c.id = t.card_id
"""
_HISTORY = text(
    _ROW + " WHERE e.account_id = :account_id AND e.id < :before_id ORDER BY e.id DESC LIMIT :limit"
)
# The holder's entry, or that of what will be the holder's.
_POSTED = text(
    _ROW + " JOIN accounts a ON a.id = e.account_id WHERE t.id = :transaction_id"
    " ORDER BY e.account_id IS NOT DISTINCT FROM CAST(:account_id AS bigint) DESC,"
    " a.kind = 'system', a.code = 'pending' DESC, e.id LIMIT 1"
)

# One statement, so that the lots and the balance are of one moment. Of each lot also how much
# of it is held until when: what is over by then is known to who reads it later.
_EXPLAIN = text("""
SELECT a.public_id, a.kind, a.balance, a.held AS account_held, a.min_balance,
       active.ids, active.amounts, active.ends, active.branches,
       t.public_id AS transaction_public_id, t.reason, l.source, l.promotional, l.original,
       l.remaining, l.held, l.matured_id IS NOT NULL AS matured,
       l.earned_at, l.available_from, l.expires_at,
       reserved.amounts AS reserved_amounts, reserved.ends AS reserved_ends
  FROM accounts a
  LEFT JOIN LATERAL (
    SELECT array_agg(h.public_id ORDER BY h.id) AS ids,
           array_agg(h.amount ORDER BY h.id) AS amounts,
           array_agg(h.expires_at ORDER BY h.id) AS ends,
           array_agg(b.public_id ORDER BY h.id) AS branches
      FROM holds h LEFT JOIN branches b ON b.id = h.branch_id
     WHERE a.held > 0 AND h.account_id = a.id AND h.state = 'active'
  ) active ON true
  LEFT JOIN lots l ON l.account_id = a.id AND l.remaining > 0
  LEFT JOIN ledger_transactions t ON t.id = l.transaction_id
  LEFT JOIN LATERAL (
    SELECT array_agg(hl.amount ORDER BY h.id) AS amounts,
           array_agg(h.expires_at ORDER BY h.id) AS ends
      FROM hold_lots hl JOIN holds h ON h.id = hl.hold_id AND h.state = 'active'
     WHERE l.held > 0 AND hl.lot_id = l.id
  ) reserved ON true
 WHERE a.id = :account_id AND a.kind <> 'system'
 ORDER BY l.expires_at, l.id
""")

_EXPIRED_AGAIN = text(
    "SELECT coalesce(sum(m.amount), 0) FROM lot_movements m JOIN lots l ON l.id = m.lot_id"
    " WHERE m.transaction_id = :transaction_id AND m.amount > 0 AND l.expires_at <= :now"
)
_NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One entry of an account; `id` is the cursor to go on from and never leaves the service.

    `card_id` is the card that acted, where several share the account; internal too.
    """

    id: int
    public_id: str
    type: TransactionType
    amount: int
    balance_after: int | None
    at: datetime
    reason: str
    actor: str
    branch_public_id: str | None
    undoes_public_id: str | None
    card_public_id: str | None


def balance(session: Session, account_id: int) -> int:
    """A holder's balance in minor units; raises NotFound (system accounts store none)."""
    stored = session.exec(select(Account.balance).where(Account.id == account_id)).one_or_none()
    if stored is None:
        raise NotFound("There is no such account.")
    return stored


def history(
    session: Session, account_id: int, *, before_id: int | None = None, limit: int
) -> list[HistoryRow]:
    """An account's entries, newest first; `before_id` is the last row's `id` of the page before.

    New entries never shift a page: the cursor is a place in the account's own order.
    """
    rows = session.execute(
        _HISTORY,
        {
            "account_id": account_id,
            "before_id": _NEWEST if before_id is None else before_id,
            "limit": limit,
        },
    )
    return [_history_row(row) for row in rows]


def place_in_history(session: Session, account_id: int, public_id: str) -> int | None:
    """Where the transaction with this public id stands among an account's entries."""
    return session.exec(
        select(Entry.id)
        .join(Transaction, col(Transaction.id) == col(Entry.transaction_id))
        .where(Transaction.public_id == public_id, Entry.account_id == account_id)
    ).first()


def posted(session: Session, transaction_id: int, *, account_id: int | None = None) -> HistoryRow:
    """A transaction told by its holder's entry; raises NotFound.

    Of a transaction between two holders `account_id` says whose entry is meant.
    One that only concerns what its holder will have (an accrual, or undoing it before it
    matured) has no such entry: it is told without `balance_after`, the balance being as it was.
    """
    row = session.execute(
        _POSTED, {"transaction_id": transaction_id, "account_id": account_id}
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such transaction.")
    return _history_row(row)


def reversible(session: Session, transaction_id: int) -> int:
    """How much of a transaction is not undone yet, in minor units; raises NotFound."""
    return abs(posted(session, transaction_id).amount) - undone(session, transaction_id)


def expired_again(session: Session, transaction_id: int, now: datetime) -> int:
    """How much of what a transaction gave back went to lots whose time was over by then, in minor
    units: it stands in the balance until it is written off, and cannot be spent."""
    values = {"transaction_id": transaction_id, "now": now}
    return int(session.execute(_EXPIRED_AGAIN, values).scalar_one())


def _history_row(row: Row[Any]) -> HistoryRow:
    found = row._mapping
    return HistoryRow(**{**found, "type": TransactionType(found["type"])})


def explain(session: Session, account_id: int) -> Explanation:
    """What is behind a holder's balance as it is stored; raises NotFound.

    `Explanation.at` tells what time has brought that nobody has written down yet.
    """
    rows = session.execute(_EXPLAIN, {"account_id": account_id}).all()
    if not rows:
        raise NotFound("There is no such account.")
    first = rows[0]
    holds = zip(
        first.ids or (), first.amounts or (), first.ends or (), first.branches or (), strict=True
    )
    return Explanation(
        public_id=first.public_id,
        kind=AccountKind(first.kind),
        balance=first.balance,
        held=first.account_held,
        min_balance=first.min_balance,
        lots=[_lot(row) for row in rows if row.transaction_public_id is not None],
        holds=[HoldRow(*found) for found in holds],
    )


def _lot(row: Row[Any]) -> LotRow:
    reserved = zip(row.reserved_ends or (), row.reserved_amounts or (), strict=True)
    return LotRow(
        transaction_public_id=row.transaction_public_id,
        reason=row.reason,
        source=row.source,
        promotional=row.promotional,
        original=row.original,
        remaining=row.remaining,
        held=row.held,
        matured=row.matured,
        earned_at=row.earned_at,
        available_from=row.available_from,
        expires_at=row.expires_at,
        reserved=tuple(reserved),
    )
