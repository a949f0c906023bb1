"""Holds: what they reserve, and what became of them."""

from __future__ import annotations

from typing import Final

from walletsvc.ledger.verify.checks import Check

CHECKS: Final = (
    Check(
        "Account {id}: {held} is stored as held, its active holds sum to {total}.",
        """
        SELECT a.organisation_id AS owner, a.public_id AS id, a.held,
               coalesce(sums.total, 0) AS total
          FROM accounts a LEFT JOIN (
            SELECT account_id, sum(amount) AS total FROM holds
             WHERE state = 'active' GROUP BY account_id
          ) sums ON sums.account_id = a.id
         WHERE a.held <> coalesce(sums.total, 0)
         ORDER BY a.id
        """,
    ),
    Check(
        "Account {id}, lot of {lot}: {held} is stored as held, its active holds sum to {total}.",
        """
        SELECT l.held, coalesce(sums.total, 0) AS total,
               (SELECT organisation_id FROM accounts WHERE id = l.account_id) AS owner,
               (SELECT public_id FROM accounts WHERE id = l.account_id) AS id,
               (SELECT public_id FROM ledger_transactions WHERE id = l.transaction_id) AS lot
          FROM lots l LEFT JOIN (
            SELECT hl.lot_id, sum(hl.amount) AS total
              FROM hold_lots hl JOIN holds h ON h.id = hl.hold_id AND h.state = 'active'
             GROUP BY hl.lot_id
          ) sums ON sums.lot_id = l.id
         WHERE l.held <> coalesce(sums.total, 0)
         ORDER BY l.id
        """,
    ),
    Check(
        "Hold {id}: {amount} is reserved, but {lots} of lots.",
        """
        SELECT a.organisation_id AS owner, h.public_id AS id, h.amount,
               coalesce(sum(hl.amount), 0) AS lots
          FROM holds h
          JOIN accounts a ON a.id = h.account_id
          LEFT JOIN hold_lots hl ON hl.hold_id = h.id
         WHERE h.state = 'active'
         GROUP BY a.organisation_id, a.kind, h.id
        HAVING coalesce(sum(hl.amount), 0) <> CASE a.kind WHEN 'customer' THEN h.amount ELSE 0 END
         ORDER BY h.id
        """,
    ),
    Check(
        "Hold {id}: an active hold of account {own} reserves a lot of account {other}.",
        """
        SELECT a.organisation_id AS owner, h.public_id AS id, a.public_id AS own,
               other.public_id AS other
          FROM holds h
          JOIN hold_lots hl ON hl.hold_id = h.id
          JOIN lots l ON l.id = hl.lot_id AND l.account_id <> h.account_id
          JOIN accounts a ON a.id = h.account_id
          JOIN accounts other ON other.id = l.account_id
         WHERE h.state = 'active'
         ORDER BY h.id, l.id
        """,
    ),
    Check(
        "Hold {id} is {state} with {captured} captured; its transaction {posted}.",
        """
        SELECT a.organisation_id AS owner, h.public_id AS id, h.state, h.captured,
               CASE WHEN t.id IS NULL THEN 'is missing'
                    ELSE 'is a ' || t.type || ' of ' || coalesce(-sums.amount, 0) END AS posted
          FROM holds h
          JOIN accounts a ON a.id = h.account_id
          LEFT JOIN ledger_transactions t ON t.id = h.transaction_id
          LEFT JOIN LATERAL (
            SELECT sum(e.amount) AS amount FROM ledger_entries e
             WHERE e.transaction_id = t.id AND e.balance_after IS NOT NULL
          ) sums ON true
         WHERE CASE h.state
               WHEN 'captured' THEN t.type IS DISTINCT FROM 'capture' OR h.captured = 0
                                    OR sums.amount IS DISTINCT FROM -h.captured::numeric
               ELSE t.id IS NOT NULL OR h.captured <> 0 END
         ORDER BY h.id
        """,
    ),
    Check(
        "Transaction {id} is a capture of {count} holds instead of one.",
        """
        SELECT t.organisation_id AS owner, t.public_id AS id, count(h.id) AS count
          FROM ledger_transactions t LEFT JOIN holds h ON h.transaction_id = t.id
         WHERE t.type = 'capture'
         GROUP BY t.id HAVING count(h.id) <> 1
         ORDER BY t.id
        """,
    ),
)
