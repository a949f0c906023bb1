"""Lots: what is left of them, and that they agree with the balances and the entries."""

from __future__ import annotations

from typing import Final

from walletsvc.ledger.verify.checks import Check

CHECKS: Final = (
    Check(
        "Account {id}, lot of {lot}: {remaining} remains, but {original} came and {moved} moved.",
        """
        SELECT l.remaining, l.original, coalesce(sums.moved, 0) AS moved,
               (SELECT organisation_id FROM accounts WHERE id = l.account_id) AS owner,
               (SELECT public_id FROM accounts WHERE id = l.account_id) AS id,
               (SELECT public_id FROM ledger_transactions WHERE id = l.transaction_id) AS lot
          FROM lots l LEFT JOIN (
            SELECT lot_id, sum(amount) AS moved FROM lot_movements GROUP BY lot_id
          ) sums ON sums.lot_id = l.id
         WHERE l.remaining <> l.original + coalesce(sums.moved, 0)
         ORDER BY l.id
        """,
    ),
    Check(
        "Account {id}: its lots sum to {lots}, its balance is {balance}.",
        """
        SELECT a.organisation_id AS owner, a.public_id AS id, coalesce(sums.lots, 0) AS lots,
               a.balance
          FROM accounts a LEFT JOIN (
            SELECT account_id, sum(remaining) AS lots FROM lots
             WHERE matured_id IS NOT NULL AND remaining > 0 GROUP BY account_id
          ) sums ON sums.account_id = a.id
         WHERE CASE a.kind WHEN 'customer' THEN coalesce(sums.lots, 0) <> greatest(a.balance, 0)
                           ELSE sums.lots IS NOT NULL END
         ORDER BY a.id
        """,
    ),
    Check(
        "{organisation}, {unit}: lots less debts are {lots}, the holders' entries sum to {total}.",
        """
        SELECT o.id AS owner, o.slug AS organisation, u.code AS unit,
               own.lots - own.debts AS lots, own.total
          FROM (
            SELECT organisation_id, unit_id, sum(lots) AS lots, sum(debt) AS debts,
                   sum(entries) AS total
              FROM (
                SELECT organisation_id, unit_id, -balance AS debt, 0 AS lots, 0 AS entries
                  FROM accounts WHERE kind = 'customer' AND balance < 0
                 UNION ALL
                SELECT a.organisation_id, a.unit_id, 0, l.remaining, 0
                  FROM lots l JOIN accounts a ON a.id = l.account_id AND a.kind = 'customer'
                 WHERE l.matured_id IS NOT NULL AND l.remaining > 0
                 UNION ALL
                SELECT a.organisation_id, a.unit_id, 0, 0, e.amount
                  FROM ledger_entries e
                  JOIN accounts a ON a.id = e.account_id AND a.kind = 'customer'
              ) part
             GROUP BY organisation_id, unit_id
          ) own
          JOIN organisations o ON o.id = own.organisation_id
          JOIN ledger_units u ON u.id = own.unit_id
         WHERE own.lots - own.debts <> own.total
         ORDER BY o.id, u.id
        """,
    ),
    Check(
        "{organisation}, {unit}: {pending} is pending, lots for later have {lots}.",
        """
        SELECT o.id AS owner, o.slug AS organisation, u.code AS unit,
               coalesce(entries.total, 0) AS pending, coalesce(later.total, 0) AS lots
          FROM (
            SELECT a.organisation_id, a.unit_id, sum(e.amount) AS total
              FROM accounts a JOIN ledger_entries e ON e.account_id = a.id
             WHERE a.code = 'pending' GROUP BY a.organisation_id, a.unit_id
          ) entries
          FULL JOIN (
            SELECT a.organisation_id, a.unit_id, sum(l.remaining) AS total
              FROM lots l JOIN accounts a ON a.id = l.account_id
             WHERE l.matured_id IS NULL AND l.remaining > 0 GROUP BY a.organisation_id, a.unit_id
          ) later USING (organisation_id, unit_id)
          JOIN organisations o ON o.id = organisation_id
          JOIN ledger_units u ON u.id = unit_id
         WHERE coalesce(entries.total, 0) <> coalesce(later.total, 0)
         ORDER BY o.id, u.id
        """,
    ),
    Check(
        "Transaction {id}: {taken} was taken from the lot of {lot}, {given} arrived from it.",
        """
        SELECT t.organisation_id AS owner, t.public_id AS id, source.public_id AS lot,
               coalesce(taken.amount, 0) AS taken, coalesce(given.amount, 0) AS given
          FROM (
            SELECT m.transaction_id, m.lot_id, -m.amount AS amount
              FROM lot_movements m
              JOIN ledger_transactions t ON t.id = m.transaction_id AND t.type = 'transfer'
              JOIN lots l ON l.id = m.lot_id AND l.transaction_id <> t.id
          ) taken
          FULL JOIN (
            SELECT l.transaction_id, l.origin_id AS lot_id, sum(l.original) AS amount
              FROM lots l
              JOIN ledger_transactions t ON t.id = l.transaction_id AND t.type = 'transfer'
             GROUP BY l.transaction_id, l.origin_id
          ) given USING (transaction_id, lot_id)
          JOIN ledger_transactions t ON t.id = transaction_id
          LEFT JOIN lots origin ON origin.id = lot_id
          LEFT JOIN ledger_transactions source ON source.id = origin.transaction_id
         WHERE coalesce(taken.amount, 0) <> coalesce(given.amount, 0)
         ORDER BY t.id, lot_id
        """,
    ),
    Check(
        "Transaction {id}: a lot arrived with other dates or another source than it left with.",
        """
        SELECT t.organisation_id AS owner, t.public_id AS id
          FROM lots l
          JOIN lots origin ON origin.id = l.origin_id
          JOIN ledger_transactions t ON t.id = l.transaction_id
         WHERE (l.earned_at, l.available_from, l.source, l.promotional)
               <> (origin.earned_at, origin.available_from, origin.source, origin.promotional)
            OR l.expires_at IS DISTINCT FROM origin.expires_at
         ORDER BY l.id
        """,
    ),
)
