"""That lots, their movements and the holders' entries of a transaction tell of the same value.

Sums alone would not see what was moved from one holder, or one transaction, to another.
"""

from __future__ import annotations

from typing import Final

from walletsvc.ledger.verify.checks import Check
from walletsvc.ledger.verify.reversals import HEIRS

CHECKS: Final = (
    # What an entry below zero leaves, or one above it repays, has no lot. What comes, comes as a
    # lot; only undoing an accrual that has not matured changes a lot without a holder's entry.
    # Both sides of a merger count as one: they are one account by now, or apart again.
    Check(
        "Transaction {id}: lots of account {account} moved by {moved}, the entry says {expected}.",
        f"""
        WITH RECURSIVE {HEIRS}, side AS (
            SELECT e.transaction_id, 0 AS moved,
                   CASE WHEN t.type = 'merge' THEN 0
                        ELSE coalesce(last.heir, e.account_id) END AS account_id,
                   greatest(e.balance_after, 0) - greatest(e.balance_after - e.amount, 0)
                   - CASE WHEN e.amount > 0 AND t.type IN ('credit', 'maturity', 'transfer')
                          THEN e.amount ELSE 0 END AS expected
              FROM ledger_entries e
              JOIN accounts a ON a.id = e.account_id AND a.kind = 'customer'
              JOIN ledger_transactions t ON t.id = e.transaction_id
              LEFT JOIN last ON last.id = e.account_id
             UNION ALL
            SELECT t.id, 0, l.account_id, e.amount
              FROM ledger_transactions t
              JOIN lots l ON l.transaction_id = t.undoes_id
              JOIN ledger_entries e ON e.transaction_id = t.id
              JOIN accounts a ON a.id = e.account_id AND a.code = 'pending'
             UNION ALL
            SELECT m.transaction_id, m.amount,
                   CASE WHEN t.id IS NULL THEN l.account_id ELSE 0 END, 0
              FROM lot_movements m
              JOIN lots l ON l.id = m.lot_id
              LEFT JOIN ledger_transactions t ON t.id = m.transaction_id AND t.type = 'merge'
        )
        SELECT t.organisation_id AS owner, t.public_id AS id,
               coalesce(a.public_id, 'the holder') AS account, bad.moved, bad.expected
          FROM (
            SELECT transaction_id, account_id, sum(moved) AS moved, sum(expected) AS expected
              FROM side GROUP BY transaction_id, account_id HAVING sum(moved) <> sum(expected)
          ) bad
          JOIN ledger_transactions t ON t.id = bad.transaction_id
          LEFT JOIN accounts a ON a.id = bad.account_id
         ORDER BY t.id, bad.account_id
        """,  # noqa: S608 - composed of constants
    ),
    # An accrual has no holder's entry: 0 stands for whoever has its lot.
    Check(
        "Transaction {id}: {lots} came in lots of {account}, the entry says {amount}.",
        f"""
        WITH RECURSIVE {HEIRS}, side AS (
            SELECT e.transaction_id, e.amount, 0 AS lots,
                   CASE WHEN a.kind = 'system' THEN 0
                        ELSE coalesce(last.heir, e.account_id) END AS account_id
              FROM ledger_transactions t
              JOIN ledger_entries e ON e.transaction_id = t.id AND e.amount > 0
              JOIN accounts a ON a.id = e.account_id
              LEFT JOIN last ON last.id = e.account_id
             WHERE CASE t.type WHEN 'accrual' THEN a.code IS NOT DISTINCT FROM 'pending'
                   ELSE t.type IN ('credit', 'transfer') AND a.kind = 'customer' END
             UNION ALL
            SELECT l.transaction_id, 0, l.original,
                   CASE t.type WHEN 'accrual' THEN 0 ELSE l.account_id END
              FROM lots l JOIN ledger_transactions t ON t.id = l.transaction_id
        )
        SELECT t.organisation_id AS owner, t.public_id AS id, bad.lots, bad.amount,
               coalesce('account ' || a.public_id, 'the holder') AS account
          FROM (
            SELECT transaction_id, account_id, sum(lots) AS lots, sum(amount) AS amount
              FROM side GROUP BY transaction_id, account_id HAVING sum(lots) <> sum(amount)
          ) bad
          JOIN ledger_transactions t ON t.id = bad.transaction_id
          LEFT JOIN accounts a ON a.id = bad.account_id
         ORDER BY t.id, bad.account_id
        """,  # noqa: S608 - composed of constants
    ),
    Check(
        "Account {id}, lot of {lot}: it is in the balance by a transaction that did not bring it.",
        f"""
        WITH RECURSIVE {HEIRS}
        SELECT a.organisation_id AS owner, a.public_id AS id, t.public_id AS lot
          FROM lots l
          JOIN ledger_transactions t ON t.id = l.transaction_id
          JOIN accounts a ON a.id = l.account_id
          LEFT JOIN ledger_entries e
            ON e.transaction_id = l.matured_id AND e.balance_after IS NOT NULL
           AND t.type = 'accrual'
          LEFT JOIN last ON last.id = e.account_id
         WHERE CASE t.type
               WHEN 'accrual' THEN l.matured_id IS NOT NULL
                    AND coalesce(last.heir, e.account_id) IS DISTINCT FROM l.account_id
               ELSE l.matured_id IS DISTINCT FROM l.transaction_id END
         ORDER BY l.id
        """,  # noqa: S608 - composed of constants
    ),
)
