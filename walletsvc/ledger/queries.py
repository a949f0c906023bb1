"""Reading the ledger: a balance, the movements behind it, the lots inside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, text
from sqlmodel import Session, select

from walletsvc.core.errors import NotFound
from walletsvc.ledger.models import Account, AccountKind, TransactionType

_ENTRIES = """
SELECT e.id, t.public_id, t.type, e.amount, e.balance_after, t.at, t.reason, t.actor,
       b.public_id AS branch_public_id, u.public_id AS undoes_public_id, t.card_id
  FROM ledger_entries e
  JOIN ledger_transactions t ON t.id = e.transaction_id
  LEFT JOIN branches b ON b.id = t.branch_id
  LEFT JOIN ledger_transactions u ON u.id = t.undoes_id
"""
_HISTORY = text(f"""{_ENTRIES}
 WHERE e.account_id = :account_id AND e.id < :before_id
 ORDER BY e.id DESC
 LIMIT :limit
""")
_POSTED = text(f"""{_ENTRIES}
 WHERE e.transaction_id = :transaction_id AND e.balance_after IS NOT NULL
   AND (CAST(:account_id AS bigint) IS NULL OR e.account_id = :account_id)
""")

# One statement, so that the lots and the balance are of one moment.
_EXPLAIN = text("""
SELECT a.public_id, a.kind, a.balance, a.held AS account_held, a.min_balance,
       t.public_id AS transaction_public_id, t.reason, l.source, l.promotional, l.original,
       l.remaining, l.held, l.matured_id IS NOT NULL AS matured,
       l.earned_at, l.available_from, l.expires_at
  FROM accounts a
  LEFT JOIN lots l ON l.account_id = a.id AND l.remaining > 0
  LEFT JOIN ledger_transactions t ON t.id = l.transaction_id
 WHERE a.id = :account_id AND a.kind <> 'system'
 ORDER BY l.expires_at, l.id
""")

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
    card_id: int | None


@dataclass(frozen=True, slots=True)
class LotRow:
    """Points that came together and are not used up; amounts in minor units.

    `matured` is false for points that are earned but not yet part of the balance.
    """

    transaction_public_id: str
    reason: str
    source: str
    promotional: bool
    original: int
    remaining: int
    held: int
    matured: bool
    earned_at: datetime
    available_from: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a balance is what it is: lots in the order they will be spent, less the debt.

    On a holder's points account the matured lots' `remaining` sum to `max(balance, 0)`.
    Certificate money has no lots.
    """

    public_id: str
    kind: AccountKind
    balance: int
    held: int
    min_balance: int
    lots: list[LotRow]

    def available(self, now: datetime) -> int:
        """What may be spent without going into debt: not held, and not past its end."""
        ended = sum(
            lot.remaining - lot.held
            for lot in self.lots
            if lot.matured and lot.expires_at is not None and lot.expires_at <= now
        )
        return max(self.balance - self.held - ended, 0)


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
    return [_row(row) for row in rows.mappings()]


def posted(session: Session, transaction_id: int, *, account_id: int | None = None) -> HistoryRow:
    """The holder's entry of a transaction, to show what was just done.

    It need not be on the account that was asked to pay: that may have been merged meanwhile. Of a
    transaction between two holders `account_id` says whose is meant.
    """
    values = {"transaction_id": transaction_id, "account_id": account_id}
    return _row(session.execute(_POSTED, values).mappings().one())


def _row(row: RowMapping) -> HistoryRow:
    return HistoryRow(**{**row, "type": TransactionType(row["type"])})


def explain(session: Session, account_id: int) -> Explanation:
    """The lots behind a holder's balance; raises NotFound."""
    rows = session.execute(_EXPLAIN, {"account_id": account_id}).all()
    if not rows:
        raise NotFound("There is no such account.")
    public_id, kind, balance_, held, min_balance = rows[0][:5]
    lots = [LotRow(*row[5:]) for row in rows if row.transaction_public_id is not None]
    return Explanation(public_id, AccountKind(kind), balance_, held, min_balance, lots)
