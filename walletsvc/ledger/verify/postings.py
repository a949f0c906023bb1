"""Transactions, their entries, and the balances that follow from them."""

from __future__ import annotations

from typing import Final

from walletsvc.ledger.verify.checks import Check

CHECKS: Final = (
    # Zero for every organisation, and so in total: what one owes another has an entry too.
    Check(
        "Transaction {id}: the entries of {organisation} in {unit} sum to {total} instead of zero.",
        """
        SELECT organisation_id AS owner, total,
               (SELECT public_id FROM ledger_transactions WHERE id = transaction_id) AS id,
               (SELECT slug FROM organisations WHERE id = organisation_id) AS organisation,
               (SELECT code FROM ledger_units WHERE id = unit_id) AS unit
          FROM (
            SELECT e.transaction_id, e.unit_id, a.organisation_id, sum(e.amount) AS total
              FROM ledger_entries e JOIN accounts a ON a.id = e.account_id
             GROUP BY e.transaction_id, e.unit_id, a.organisation_id HAVING sum(e.amount) <> 0
          ) bad
         ORDER BY transaction_id, unit_id, organisation_id
        """,
    ),
    Check(
        "Transaction {id} has no entries.",
        """
        SELECT t.organisation_id AS owner, t.public_id AS id FROM ledger_transactions t
         WHERE NOT EXISTS (SELECT FROM ledger_entries e WHERE e.transaction_id = t.id)
         ORDER BY t.id
        """,
    ),
    Check(
        "Transaction {id}: account {account} counts {own}, but the entry is in {unit}.",
        """
        SELECT t.organisation_id AS owner, t.public_id AS id, a.public_id AS account,
               own.code AS own, u.code AS unit
          FROM ledger_entries e
          JOIN accounts a ON a.id = e.account_id AND a.unit_id <> e.unit_id
          JOIN ledger_transactions t ON t.id = e.transaction_id
          JOIN ledger_units u ON u.id = e.unit_id
          JOIN ledger_units own ON own.id = a.unit_id
         ORDER BY e.id
        """,
    ),
    Check(
        "Account {id}: the stored balance is {balance}, its entries sum to {total}.",
        """
        SELECT a.organisation_id AS owner, a.public_id AS id, a.balance,
               coalesce(sums.total, 0) AS total
          FROM accounts a LEFT JOIN (
            SELECT account_id, sum(amount) AS total FROM ledger_entries
             WHERE balance_after IS NOT NULL GROUP BY account_id
          ) sums ON sums.account_id = a.id
         WHERE a.kind <> 'system' AND a.balance <> coalesce(sums.total, 0)
         ORDER BY a.id
        """,
    ),
    Check(
        "Account {id}, transaction {at}: {before} and {amount} do not make {balance_after}.",
        """
        SELECT balance_after, before, amount,
               (SELECT organisation_id FROM accounts WHERE id = account_id) AS owner,
               (SELECT public_id FROM accounts WHERE id = account_id) AS id,
               (SELECT public_id FROM ledger_transactions WHERE id = transaction_id) AS at
          FROM (
            SELECT id, transaction_id, account_id, amount, balance_after,
                   coalesce(lag(balance_after) OVER entries, 0) AS before
              FROM ledger_entries
             WHERE balance_after IS NOT NULL
            WINDOW entries AS (PARTITION BY account_id ORDER BY id)
          ) chain
         WHERE balance_after <> before + amount
         ORDER BY chain.id
        """,
    ),
    Check(
        "Account {id}, transaction {transaction}: {fault}.",
        """
        SELECT t.organisation_id AS owner, a.public_id AS id, t.public_id AS transaction,
               CASE a.kind WHEN 'system' THEN 'a system account stores no balance'
                           ELSE 'the entry does not say what was left' END AS fault
          FROM ledger_entries e
          JOIN accounts a ON a.id = e.account_id
           AND (a.kind = 'system') = (e.balance_after IS NOT NULL)
          JOIN ledger_transactions t ON t.id = e.transaction_id
         ORDER BY e.id
        """,
    ),
)
