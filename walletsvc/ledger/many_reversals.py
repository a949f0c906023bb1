"""Undoing many credits that nobody touched, and putting their accounts away: a few statements,
whatever their number."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.ids import public_id
from walletsvc.jobs.changes import Lane, touch
from walletsvc.ledger.accounts import hold_still
from walletsvc.ledger.checks import check
from walletsvc.ledger.many import look_up_by_key

_ACCOUNTS: Final = text(
    "SELECT DISTINCT account_id FROM lots WHERE transaction_id = ANY(CAST(:ids AS bigint[]))"
)
# Whole, never undone, never spent from, on an open account that no other stands in for; and the
# account has what is to be taken, apart from what is held.
_UNTOUCHED: Final = text("""
WITH wanted AS (
    SELECT t.id, l.id AS lot_id, l.account_id, l.original AS amount
      FROM ledger_transactions t
      JOIN lots l ON l.transaction_id = t.id
     WHERE t.id = ANY(CAST(:ids AS bigint[])) AND t.type = 'credit'
       AND l.remaining = l.original AND l.held = 0 AND l.matured_id = t.id
       AND (l.expires_at IS NULL OR l.expires_at > :now)
       AND NOT EXISTS (SELECT FROM ledger_transactions r WHERE r.undoes_id = t.id)
)
SELECT w.id FROM wanted w
  JOIN accounts a ON a.id = w.account_id AND a.closed_at IS NULL
 WHERE a.balance - a.held >= (SELECT sum(o.amount) FROM wanted o WHERE o.account_id = w.account_id)
   AND EXISTS (SELECT FROM ledger_entries e
                WHERE e.account_id = a.id AND e.transaction_id = w.id)
 ORDER BY w.account_id, w.id
""")
_POST: Final = text("""
WITH given AS (
    SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:public_ids AS text[]))
        WITH ORDINALITY AS given (undoes_id, public_id, place)
), undone AS MATERIALIZED (
    SELECT g.undoes_id, g.public_id, g.place, t.organisation_id, t.card_id,
           l.id AS lot_id, l.account_id, l.original AS amount, s.account_id AS system_id,
           s.unit_id, a.balance - sum(l.original) OVER (
               PARTITION BY l.account_id ORDER BY g.place) AS balance_after,
           nextval('ledger_transactions_id_seq') AS id
      FROM given g
      JOIN ledger_transactions t ON t.id = g.undoes_id
      JOIN lots l ON l.transaction_id = t.id
      JOIN accounts a ON a.id = l.account_id
      JOIN ledger_entries s ON s.transaction_id = t.id AND s.account_id <> l.account_id
), posted AS (
    INSERT INTO ledger_transactions
        (id, public_id, organisation_id, type, actor, card_id, reason, undoes_id, at)
    SELECT id, public_id, organisation_id, 'reversal', :actor, card_id, :reason, undoes_id, :at
      FROM undone
), entries AS (
    INSERT INTO ledger_entries (transaction_id, account_id, unit_id, amount, balance_after)
    SELECT id, account_id, unit_id, amount, balance_after FROM (
        SELECT place, 0 AS side, id, account_id, unit_id, -amount AS amount, balance_after
          FROM undone
         UNION ALL
        SELECT place, 1, id, system_id, unit_id, amount, NULL FROM undone
    ) side ORDER BY place, side
), emptied AS (
    UPDATE lots SET remaining = 0 FROM undone WHERE lots.id = undone.lot_id
), movements AS (
    INSERT INTO lot_movements (transaction_id, lot_id, amount)
    SELECT id, lot_id, -amount FROM undone
), balances AS (
    UPDATE accounts SET balance = balance - total.amount
      FROM (SELECT account_id, sum(amount) AS amount FROM undone GROUP BY account_id) total
     WHERE accounts.id = total.account_id
)
SELECT undoes_id, id FROM undone ORDER BY place
""")
_CLOSE: Final = text("""
UPDATE accounts SET closed_at = :now
 WHERE id = ANY(CAST(:ids AS bigint[])) AND kind <> 'system' AND closed_at IS NULL
   AND balance = 0 AND held = 0
RETURNING id
""")
_REOPEN: Final = text("""
UPDATE accounts SET closed_at = NULL, min_balance = :min_balance
 WHERE id = ANY(CAST(:ids AS bigint[])) AND kind <> 'system' AND merged_into_id IS NULL
""")


def reverse_many(
    session: Session,
    transaction_ids: Collection[int],
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    lane: Lane = Lane.BULK,
) -> dict[int, int]:
    """Undo credits of points as `reversals.reverse` does, those whose points are all there still.

    Returns the reversal of each that was undone by its id. The others are left as they are: some
    of it was spent, is held, has ended, repaid a debt or was undone before. Accounts that the
    session has loaded are not refreshed.
    """
    check(1, reason)
    look_up_by_key(session)
    wanted = {"ids": sorted(set(transaction_ids)), "now": now}
    accounts = session.execute(_ACCOUNTS, wanted).scalars().all()
    hold_still(session, accounts)
    ids = session.execute(_UNTOUCHED, wanted).scalars().all()
    if not ids:
        return {}
    rows = session.execute(
        _POST,
        {
            "ids": list(ids),
            "public_ids": [public_id() for _ in ids],
            "actor": str(actor),
            "reason": reason,
            "at": now,
        },
    )
    undone = {row[0]: row[1] for row in rows}
    if set(undone) != set(ids):
        raise AssertionError("a credit has not two sides")
    touch(session, "account", accounts, at=now, lane=lane)
    return undone


def close_empty(session: Session, account_ids: Collection[int], now: datetime) -> set[int]:
    """Close those of the accounts that are empty; which ones were."""
    found = session.execute(_CLOSE, {"ids": sorted(set(account_ids)), "now": now})
    return set(found.scalars())


def reopen(session: Session, account_ids: Collection[int], min_balance: int = 0) -> None:
    """Open accounts again that were closed while they were empty."""
    session.execute(_REOPEN, {"ids": sorted(set(account_ids)), "min_balance": min_balance})
