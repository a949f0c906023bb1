"""Reading lots under the account's lock; `posting` writes them."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.ledger import rules
from walletsvc.ledger.rules import Claim, OpenLot

# The order of the partial index `ix_lots_spendable`, read from its start.
OPEN_LOTS_SQL: Final = """
SELECT id, transaction_id, remaining, held, expires_at
  FROM lots
 WHERE account_id = :account_id AND remaining > 0 AND matured_id IS NOT NULL
 ORDER BY expires_at, id
"""
_OPEN_LOTS = text(OPEN_LOTS_SQL)

# How much of a transaction was undone: all entries of a transaction that can be are of one size.
UNDONE_SQL: Final = """
(SELECT coalesce(sum(part.amount), 0)::bigint FROM (
    SELECT max(abs(e.amount)) AS amount
      FROM ledger_transactions u JOIN ledger_entries e ON e.transaction_id = u.id
     WHERE u.undoes_id = {transaction} GROUP BY u.id
 ) part)
"""
_UNDONE_OF = text("SELECT " + UNDONE_SQL.format(transaction=":id"))

# A lot takes back at most what came with it, less what was undone of its own coming.
_CLAIMS = text(f"""
SELECT l.id, -taken.amount - coalesce(returned.amount, 0)::bigint AS claim,
       l.original - l.remaining - {UNDONE_SQL.format(transaction="l.transaction_id")} AS room
  FROM lot_movements taken
  JOIN lots l ON l.id = taken.lot_id
  LEFT JOIN LATERAL (
    SELECT sum(m.amount) AS amount
      FROM ledger_transactions u JOIN lot_movements m ON m.transaction_id = u.id
     WHERE u.undoes_id = :id AND m.lot_id = l.id
  ) returned ON true
 WHERE taken.transaction_id = :id AND taken.amount < 0
 ORDER BY l.expires_at DESC NULLS FIRST, l.id DESC
""")  # noqa: S608 - composed of constants

# What a lot lost other than by spending, by its end, or by leaving with a part of the balance; a
# part that arrived may have repaid a debt first. Each half of the condition has an index.
_LENT = text(f"""
SELECT l.id, coalesce(moved.amount, 0)::bigint
       - {UNDONE_SQL.format(transaction="l.transaction_id")} AS lent
  FROM lots l
  LEFT JOIN LATERAL (
    SELECT -sum(m.amount) AS amount
      FROM lot_movements m JOIN ledger_transactions t ON t.id = m.transaction_id
     WHERE m.lot_id = l.id AND (t.type IN ('credit', 'maturity', 'merge', 'reversal')
                                OR t.id = l.transaction_id)
  ) moved ON true
 WHERE l.account_id = :account_id AND (l.remaining > 0 OR l.remaining = 0)
   AND l.remaining < l.original
 ORDER BY l.expires_at DESC NULLS FIRST, l.id DESC
""")  # noqa: S608 - composed of constants

_UNDONE_SPENDINGS = text(f"""
SELECT * FROM (
    SELECT t.id, m.lot_id, -m.amount AS amount, {UNDONE_SQL.format(transaction="t.id")} AS undone,
           l.expires_at
      FROM lots l
      JOIN lot_movements m ON m.lot_id = l.id AND m.amount < 0
      JOIN ledger_transactions t ON t.id = m.transaction_id
     WHERE l.account_id = :account_id AND (l.remaining > 0 OR l.remaining = 0)
       AND t.type IN ('debit', 'capture')
) spent
 WHERE undone > 0 OR id = :spending_id
 ORDER BY id, expires_at DESC NULLS FIRST, lot_id DESC
""")  # noqa: S608 - composed of constants


def open_lots(session: Session, account_id: int) -> list[OpenLot]:
    """Matured lots with something left, earliest-expiring first."""
    return [OpenLot(*row) for row in session.execute(_OPEN_LOTS, {"account_id": account_id})]


def undone(session: Session, transaction_id: int) -> int:
    """How much of a transaction its reversals have undone so far."""
    return int(session.execute(_UNDONE_OF, {"id": transaction_id}).scalar_one())


def claims(session: Session, spending_id: int) -> list[Claim]:
    """What a spending took and has not given back, lot by lot, latest-expiring first."""
    rows = session.execute(_CLAIMS, {"id": spending_id})
    return [(lot_id, max(min(claim, room), 0)) for lot_id, claim, room in rows]


def standing_in(
    session: Session, account_id: int, spending_id: int, undone_now: int
) -> list[Claim]:
    """What each lot of an account lost for others, latest-expiring first.

    That is what went to a debt, to the reversal of another credit or to a merger, and what was
    spent by a transaction that was undone since (`undone_now` in all of `spending_id`) and not
    given back. Lots that were filled for others come out below zero and are left out; in total
    the rest always covers what is still to be given back (docs/decisions.md says why).
    """
    parameters = {"account_id": account_id, "spending_id": spending_id}
    lent: dict[int, int] = {row.id: row.lent for row in session.execute(_LENT, parameters)}
    spendings: dict[int, list[Claim]] = defaultdict(list)
    undone_of: dict[int, int] = {}
    for row in session.execute(_UNDONE_SPENDINGS, parameters):
        spendings[row.id].append((row.lot_id, row.amount))
        undone_of[row.id] = undone_now if row.id == spending_id else row.undone
    for id_, taken in spendings.items():
        for lot_id, part in rules.give_back(taken, undone_of[id_]).items():
            if lot_id in lent:  # others are full
                lent[lot_id] += part
    return [(lot_id, amount) for lot_id, amount in lent.items() if amount > 0]
