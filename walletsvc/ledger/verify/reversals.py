"""Reversals: what they undo, how much of it, and on whose account."""

from __future__ import annotations

from typing import Final

from walletsvc.ledger.verify.checks import Check

# Where an account's value is now.
HEIRS: Final = """
heir (id, heir) AS (
    SELECT id, merged_into_id FROM accounts WHERE merged_into_id IS NOT NULL
    UNION
    SELECT heir.id, a.merged_into_id FROM heir JOIN accounts a ON a.id = heir.heir
     WHERE a.merged_into_id IS NOT NULL
), last AS (
    SELECT heir.id, heir.heir FROM heir JOIN accounts a ON a.id = heir.heir
     WHERE a.merged_into_id IS NULL
)"""

CHECKS: Final = (
    Check(
        "Transaction {id} of type {type} undoes {undoes}.",
        """
        SELECT t.organisation_id AS owner, t.public_id AS id, t.type,
               CASE WHEN o.id IS NULL THEN 'nothing' ELSE 'one of type ' || o.type END AS undoes
          FROM ledger_transactions t LEFT JOIN ledger_transactions o ON o.id = t.undoes_id
         WHERE (t.type = 'reversal' OR t.undoes_id IS NOT NULL)
           AND (t.type <> 'reversal' OR o.id IS NULL
                OR o.type NOT IN ('credit', 'accrual', 'debit', 'capture', 'settlement'))
         ORDER BY t.id
        """,
    ),
    # The holder's side counts as one: accounts merge, and what was accrued is the holder's later.
    Check(
        "Transaction {id}: {account} moved by {amount}, its reversals by {undone}.",
        """
        WITH side AS (
            SELECT r.undoes_id AS id, e.amount, true AS undoes,
                   CASE WHEN a.kind = 'system' AND a.code <> 'pending' THEN a.id ELSE 0 END AS side
              FROM ledger_transactions r
              JOIN ledger_entries e ON e.transaction_id = r.id
              JOIN accounts a ON a.id = e.account_id
             WHERE r.undoes_id IS NOT NULL
             UNION ALL
            SELECT o.id, e.amount, false,
                   CASE WHEN a.kind = 'system' AND a.code <> 'pending' THEN a.id ELSE 0 END
              FROM (SELECT DISTINCT undoes_id AS id FROM ledger_transactions
                     WHERE undoes_id IS NOT NULL) o
              JOIN ledger_entries e ON e.transaction_id = o.id
              JOIN accounts a ON a.id = e.account_id
        ), both_sides AS (
            SELECT id, side, coalesce(sum(amount) FILTER (WHERE NOT undoes), 0) AS amount,
                   coalesce(sum(amount) FILTER (WHERE undoes), 0) AS undone
              FROM side GROUP BY id, side
        )
        SELECT o.organisation_id AS owner, o.public_id AS id, s.amount, s.undone,
               coalesce('account ' || a.public_id, 'the holder') AS account
          FROM both_sides s
          JOIN ledger_transactions o ON o.id = s.id
          LEFT JOIN accounts a ON a.id = s.side
         WHERE sign(s.amount) * sign(s.undone) >= 0 OR abs(s.undone) > abs(s.amount)
         ORDER BY o.id, s.side
        """,
    ),
    Check(
        "Transaction {id} undoes {undoes} on account {account}, whose it was not.",
        f"""
        WITH RECURSIVE {HEIRS}, undone AS (
            SELECT r.id, r.undoes_id, e.account_id
              FROM ledger_transactions r
              JOIN ledger_entries e ON e.transaction_id = r.id AND e.balance_after IS NOT NULL
             WHERE r.undoes_id IS NOT NULL
        ), pair AS (
            SELECT u.id, u.undoes_id, u.account_id, e.account_id AS own
              FROM undone u
              JOIN ledger_entries e
                ON e.transaction_id = u.undoes_id AND e.balance_after IS NOT NULL
             UNION ALL
            SELECT u.id, u.undoes_id, u.account_id, l.account_id
              FROM undone u
              JOIN ledger_transactions o ON o.id = u.undoes_id AND o.type = 'accrual'
              JOIN lots l ON l.transaction_id = o.id
        )
        SELECT r.organisation_id AS owner, r.public_id AS id, o.public_id AS undoes,
               a.public_id AS account
          FROM pair
          LEFT JOIN last own ON own.id = pair.own
          LEFT JOIN last done ON done.id = pair.account_id
          JOIN ledger_transactions r ON r.id = pair.id
          JOIN ledger_transactions o ON o.id = pair.undoes_id
          JOIN accounts a ON a.id = pair.account_id
         WHERE pair.account_id <> pair.own
           AND coalesce(done.heir, pair.account_id) <> coalesce(own.heir, pair.own)
         ORDER BY r.id
        """,  # noqa: S608 - composed of constants
    ),
)
