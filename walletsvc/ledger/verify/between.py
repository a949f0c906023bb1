"""What organisations owe each other, and accounts that became others'."""

from __future__ import annotations

from typing import Final

from walletsvc.ledger.verify.checks import Check

CHECKS: Final = (
    Check(
        "{one} owes {other} {owed} in {unit}, but {other} counts {counted}.",
        """
        WITH owed AS (
            SELECT a.organisation_id AS one, a.counterparty_id AS other, a.unit_id,
                   sum(e.amount) AS amount
              FROM accounts a JOIN ledger_entries e ON e.account_id = a.id
             WHERE a.code = 'inter-organisation'
             GROUP BY a.organisation_id, a.counterparty_id, a.unit_id
        )
        SELECT own.one AS owner, o.slug AS one, c.slug AS other, u.code AS unit,
               own.amount AS owed, -coalesce(theirs.amount, 0) AS counted
          FROM owed own
          LEFT JOIN owed theirs
            ON theirs.one = own.other AND theirs.other = own.one AND theirs.unit_id = own.unit_id
          JOIN organisations o ON o.id = own.one
          JOIN organisations c ON c.id = own.other
          JOIN ledger_units u ON u.id = own.unit_id
         WHERE own.amount <> -coalesce(theirs.amount, 0)
         ORDER BY o.id, c.id, u.id
        """,
    ),
    Check(
        "Transaction {id}: {one} and {other} do not count the same: {total} in {unit}.",
        """
        SELECT t.organisation_id AS owner, t.public_id AS id, o.slug AS one, c.slug AS other,
               u.code AS unit, bad.total
          FROM (
            SELECT e.transaction_id, e.unit_id, sum(e.amount) AS total,
                   least(a.organisation_id, a.counterparty_id) AS one,
                   greatest(a.organisation_id, a.counterparty_id) AS other
              FROM ledger_entries e
              JOIN accounts a ON a.id = e.account_id AND a.code = 'inter-organisation'
             GROUP BY e.transaction_id, e.unit_id,
                      least(a.organisation_id, a.counterparty_id),
                      greatest(a.organisation_id, a.counterparty_id)
            HAVING sum(e.amount) <> 0
          ) bad
          JOIN ledger_transactions t ON t.id = bad.transaction_id
          JOIN organisations o ON o.id = bad.one
          JOIN organisations c ON c.id = bad.other
          JOIN ledger_units u ON u.id = bad.unit_id
         ORDER BY t.id, u.id, o.id, c.id
        """,
    ),
    Check(
        "{one} and {other} on {day}: {stored} in {unit} was counted, but the entries say {said}.",
        """
        WITH mark AS (
            SELECT coalesce(max(entry_id), 0) AS entry_id FROM clearing_mark
        ), stored AS (
            SELECT account_id, day, sum(amount) AS amount
              FROM clearing_days GROUP BY account_id, day
        ), said AS (
            SELECT e.account_id, CAST(t.at AT TIME ZONE 'UTC' AS date) AS day,
                   sum(e.amount) AS amount
              FROM accounts a
              JOIN ledger_entries e ON e.account_id = a.id
              JOIN ledger_transactions t ON t.id = e.transaction_id
             WHERE a.code = 'inter-organisation' AND e.id <= (SELECT entry_id FROM mark)
             GROUP BY 1, 2
        )
        SELECT a.organisation_id AS owner, o.slug AS one, c.slug AS other, u.code AS unit,
               day, coalesce(stored.amount, 0) AS stored, coalesce(said.amount, 0) AS said
          FROM stored FULL JOIN said USING (account_id, day)
          JOIN accounts a ON a.id = account_id
          JOIN organisations o ON o.id = a.organisation_id
          LEFT JOIN organisations c ON c.id = a.counterparty_id
          JOIN ledger_units u ON u.id = a.unit_id
         WHERE coalesce(stored.amount, 0) <> coalesce(said.amount, 0)
         ORDER BY o.id, c.id, u.id, day
        """,
    ),
    Check(
        "Account {id} was merged into {heir}, but {fault}.",
        """
        SELECT a.organisation_id AS owner, a.public_id AS id, b.public_id AS heir,
               concat_ws(
                   ', ',
                   CASE WHEN a.closed_at IS NULL THEN 'is open' END,
                   CASE WHEN a.balance <> 0 THEN 'has a balance of ' || a.balance END,
                   CASE WHEN a.held <> 0 THEN 'has ' || a.held || ' held' END,
                   CASE WHEN lots.any THEN 'has lots' END,
                   CASE WHEN (a.organisation_id, a.unit_id, a.kind)
                             <> (b.organisation_id, b.unit_id, b.kind)
                        THEN 'that is of another kind' END
               ) AS fault
          FROM accounts a
          JOIN accounts b ON b.id = a.merged_into_id
          CROSS JOIN LATERAL (
            SELECT EXISTS (SELECT FROM lots l WHERE l.account_id = a.id) AS any
          ) lots
         WHERE a.closed_at IS NULL OR a.balance <> 0 OR a.held <> 0 OR lots.any
            OR (a.organisation_id, a.unit_id, a.kind) <> (b.organisation_id, b.unit_id, b.kind)
         ORDER BY a.id
        """,
    ),
    Check(
        "Account {id} was merged into itself, in a circle.",
        """
        WITH RECURSIVE chain (id, heir) AS (
            SELECT id, merged_into_id FROM accounts WHERE merged_into_id IS NOT NULL
            UNION
            SELECT chain.id, a.merged_into_id FROM chain JOIN accounts a ON a.id = chain.heir
             WHERE a.merged_into_id IS NOT NULL
        )
        SELECT a.organisation_id AS owner, a.public_id AS id
          FROM chain JOIN accounts a ON a.id = chain.id
         WHERE chain.heir = chain.id
         ORDER BY a.id
        """,
    ),
)
