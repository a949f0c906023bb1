"""Reading lots under the account's lock; `posting` writes them."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.ledger.rules import OpenLot

# The order of the partial index `ix_lots_spendable`, read from its start.
OPEN_LOTS_SQL = """
SELECT id, transaction_id, remaining, held, expires_at
  FROM lots
 WHERE account_id = :account_id AND remaining > 0 AND matured_id IS NOT NULL
 ORDER BY expires_at, id
"""
_OPEN_LOTS = text(OPEN_LOTS_SQL)

# A lot whose credit was reversed is dead: nothing is ever given back to it.
_TAKEN_BY = text("""
SELECT l.id, -m.amount
  FROM lot_movements m JOIN lots l ON l.id = m.lot_id
 WHERE m.transaction_id = :transaction_id AND m.amount < 0
   AND NOT EXISTS (SELECT FROM ledger_transactions u WHERE u.undoes_id = l.transaction_id)
 ORDER BY l.expires_at DESC NULLS FIRST, l.id DESC
""")

# What a lot lost other than by a spending that still stands: to a debt when it matured, to
# the reversal of another credit, or to a spending that was reversed without giving it back.
_STANDING_IN = text("""
SELECT l.id, -sum(m.amount)
  FROM lots l
  JOIN lot_movements m ON m.lot_id = l.id
  JOIN ledger_transactions t ON t.id = m.transaction_id
 WHERE l.account_id = :account_id
   AND NOT EXISTS (SELECT FROM ledger_transactions u WHERE u.undoes_id = l.transaction_id)
   AND (t.id = l.matured_id OR t.type = 'reversal'
        OR EXISTS (SELECT FROM ledger_transactions u WHERE u.undoes_id = t.id))
 GROUP BY l.id
HAVING sum(m.amount) < 0
 ORDER BY l.expires_at DESC NULLS FIRST, l.id DESC
""")


def open_lots(session: Session, account_id: int) -> list[OpenLot]:
    """Matured lots with something left, earliest-expiring first."""
    return [OpenLot(*row) for row in session.execute(_OPEN_LOTS, {"account_id": account_id})]


def taken_by(session: Session, transaction_id: int) -> list[tuple[int, int]]:
    """What a transaction took from which living lots, latest-expiring first."""
    rows = session.execute(_TAKEN_BY, {"transaction_id": transaction_id})
    return [(lot_id, amount) for lot_id, amount in rows]


def standing_in(session: Session, account_id: int) -> list[tuple[int, int]]:
    """What living lots of an account lost for others, latest-expiring first."""
    rows = session.execute(_STANDING_IN, {"account_id": account_id})
    return [(lot_id, int(amount)) for lot_id, amount in rows]
