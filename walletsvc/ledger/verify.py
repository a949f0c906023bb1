"""Recompute everything the ledger stores from its entries and name what differs.

Every check is one statement, so that it sees one moment even while tills go on posting, and
works on sets: the cost is a few scans and sorts, whatever the number of accounts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

# Each check: the words of a difference, and the statement that finds it. The statement's
# columns fill the words; it returns nothing when all is well.
CHECKS: tuple[tuple[str, str], ...] = (
    (
        "Transaction {id}: its entries in {unit} sum to {total} instead of zero.",
        """
        SELECT t.public_id AS id, u.code AS unit, bad.total FROM (
            SELECT transaction_id, unit_id, sum(amount) AS total
              FROM ledger_entries GROUP BY transaction_id, unit_id HAVING sum(amount) <> 0
        ) bad
        JOIN ledger_transactions t ON t.id = bad.transaction_id
        JOIN ledger_units u ON u.id = bad.unit_id
        ORDER BY t.id, u.id
        """,
    ),
    (
        "Transaction {id} has no entries.",
        """
        SELECT t.public_id AS id FROM ledger_transactions t
         WHERE NOT EXISTS (SELECT FROM ledger_entries e WHERE e.transaction_id = t.id)
         ORDER BY t.id
        """,
    ),
    (
        "Transaction {id}: account {account} counts {own}, but the entry is in {unit}.",
        """
        SELECT t.public_id AS id, a.public_id AS account, own.code AS own, u.code AS unit
          FROM ledger_entries e
          JOIN accounts a ON a.id = e.account_id AND a.unit_id <> e.unit_id
          JOIN ledger_transactions t ON t.id = e.transaction_id
          JOIN ledger_units u ON u.id = e.unit_id
          JOIN ledger_units own ON own.id = a.unit_id
         ORDER BY e.id
        """,
    ),
    (
        "Account {id}: the stored balance is {balance}, its entries sum to {total}.",
        """
        SELECT a.public_id AS id, a.balance, coalesce(sums.total, 0) AS total
          FROM accounts a LEFT JOIN (
            SELECT account_id, sum(amount) AS total FROM ledger_entries GROUP BY account_id
          ) sums ON sums.account_id = a.id
         WHERE a.kind <> 'system' AND a.balance <> coalesce(sums.total, 0)
         ORDER BY a.id
        """,
    ),
    (
        "Account {id}, transaction {at}: {before} and {amount} do not make {balance_after}.",
        """
        SELECT a.public_id AS id, t.public_id AS at, chain.balance_after,
               chain.before, chain.amount
          FROM (
            SELECT id, transaction_id, account_id, amount, balance_after,
                   coalesce(lag(balance_after) OVER entries, 0) AS before
              FROM ledger_entries
             WHERE balance_after IS NOT NULL
            WINDOW entries AS (PARTITION BY account_id ORDER BY id)
          ) chain
          JOIN accounts a ON a.id = chain.account_id
          JOIN ledger_transactions t ON t.id = chain.transaction_id
         WHERE chain.balance_after <> chain.before + chain.amount
         ORDER BY chain.id
        """,
    ),
    (
        "Account {id}, transaction {transaction}: {fault}.",
        """
        SELECT a.public_id AS id, t.public_id AS transaction,
               CASE a.kind WHEN 'system' THEN 'a system account stores no balance'
                           ELSE 'the entry does not say what was left' END AS fault
          FROM ledger_entries e
          JOIN accounts a ON a.id = e.account_id
           AND (a.kind = 'system') = (e.balance_after IS NOT NULL)
          JOIN ledger_transactions t ON t.id = e.transaction_id
         ORDER BY e.id
        """,
    ),
    # An account that was merged counts as the one that has its value now. What an accrual promised
    # came with its maturity: the holder's entry of its reversal is checked by the system's.
    (
        "Transaction {id}: account {account} moved by {amount}, its reversals by {undone}.",
        """
        WITH RECURSIVE ahead AS (
            SELECT id, merged_into_id AS heir_id FROM accounts WHERE merged_into_id IS NOT NULL
            UNION ALL
            SELECT ahead.id, a.merged_into_id FROM ahead
              JOIN accounts a ON a.id = ahead.heir_id WHERE a.merged_into_id IS NOT NULL
        ), heirs AS (
            SELECT ahead.id, ahead.heir_id FROM ahead
              JOIN accounts a ON a.id = ahead.heir_id WHERE a.merged_into_id IS NULL
        ), undone AS (
            SELECT r.undoes_id, coalesce(h.heir_id, e.account_id) AS account_id,
                   sum(e.amount) AS amount
              FROM ledger_transactions r JOIN ledger_entries e ON e.transaction_id = r.id
              LEFT JOIN heirs h ON h.id = e.account_id
             WHERE r.undoes_id IS NOT NULL GROUP BY 1, 2
        ), first AS (
            SELECT e.transaction_id, coalesce(h.heir_id, e.account_id) AS account_id,
                   sum(e.amount) AS amount
              FROM (SELECT DISTINCT undoes_id FROM undone) u
              JOIN ledger_entries e ON e.transaction_id = u.undoes_id
              LEFT JOIN heirs h ON h.id = e.account_id
             GROUP BY 1, 2
        )
        SELECT o.public_id AS id, a.public_id AS account, coalesce(first.amount, 0) AS amount,
               undone.amount AS undone
          FROM undone
          JOIN ledger_transactions o ON o.id = undone.undoes_id
          JOIN accounts a ON a.id = undone.account_id
          LEFT JOIN first ON first.transaction_id = undone.undoes_id
           AND first.account_id = undone.account_id
         WHERE (sign(coalesce(first.amount, 0)) * sign(undone.amount) >= 0
                OR abs(undone.amount) > abs(first.amount))
           AND NOT (o.type = 'accrual' AND a.kind <> 'system')
         ORDER BY o.id, a.id
        """,
    ),
    (
        "Account {id}, lot of {lot}: {remaining} remains, but {original} came and {moved} moved.",
        """
        SELECT t.public_id AS lot, a.public_id AS id, l.remaining, l.original,
               coalesce(sums.moved, 0) AS moved
          FROM lots l LEFT JOIN (
            SELECT lot_id, sum(amount) AS moved FROM lot_movements GROUP BY lot_id
          ) sums ON sums.lot_id = l.id
          JOIN accounts a ON a.id = l.account_id
          JOIN ledger_transactions t ON t.id = l.transaction_id
         WHERE l.remaining <> l.original + coalesce(sums.moved, 0)
         ORDER BY l.id
        """,
    ),
    (
        "Account {id}: its lots sum to {lots}, its balance is {balance}.",
        """
        SELECT a.public_id AS id, coalesce(sums.lots, 0) AS lots, a.balance
          FROM accounts a LEFT JOIN (
            SELECT account_id, sum(remaining) AS lots FROM lots
             WHERE matured_id IS NOT NULL AND remaining > 0 GROUP BY account_id
          ) sums ON sums.account_id = a.id
         WHERE CASE a.kind WHEN 'customer' THEN coalesce(sums.lots, 0) <> greatest(a.balance, 0)
                           ELSE sums.lots IS NOT NULL END
         ORDER BY a.id
        """,
    ),
    (
        "Account {id} was merged into another, but {lots} lots are left on it.",
        """
        SELECT a.public_id AS id, count(*) AS lots
          FROM lots l JOIN accounts a ON a.id = l.account_id AND a.merged_into_id IS NOT NULL
         GROUP BY a.id, a.public_id ORDER BY a.id
        """,
    ),
    (
        "Account {id}, lot of {lot}: {original} came from another lot, which gave {given}.",
        """
        SELECT t.public_id AS lot, a.public_id AS id, l.original, -coalesce(m.amount, 0) AS given
          FROM lots l
          JOIN accounts a ON a.id = l.account_id
          JOIN ledger_transactions t ON t.id = l.transaction_id
          LEFT JOIN lot_movements m
            ON m.lot_id = l.origin_id AND m.transaction_id = l.transaction_id
         WHERE l.origin_id IS NOT NULL AND l.original <> -coalesce(m.amount, 0)
         ORDER BY l.id
        """,
    ),
    (
        "Account {id}: {held} is stored as held, its active holds sum to {total}.",
        """
        SELECT a.public_id AS id, a.held, coalesce(sums.total, 0) AS total
          FROM accounts a LEFT JOIN (
            SELECT account_id, sum(amount) AS total FROM holds
             WHERE state = 'active' GROUP BY account_id
          ) sums ON sums.account_id = a.id
         WHERE a.held <> coalesce(sums.total, 0)
         ORDER BY a.id
        """,
    ),
    (
        "Account {id}, lot of {lot}: {held} is stored as held, its active holds sum to {total}.",
        """
        SELECT t.public_id AS lot, a.public_id AS id, l.held, coalesce(sums.total, 0) AS total
          FROM lots l LEFT JOIN (
            SELECT hl.lot_id, sum(hl.amount) AS total
              FROM hold_lots hl JOIN holds h ON h.id = hl.hold_id AND h.state = 'active'
             GROUP BY hl.lot_id
          ) sums ON sums.lot_id = l.id
          JOIN accounts a ON a.id = l.account_id
          JOIN ledger_transactions t ON t.id = l.transaction_id
         WHERE l.held <> coalesce(sums.total, 0)
         ORDER BY l.id
        """,
    ),
)

_COUNTS = text("""
SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM ledger_transactions),
       (SELECT count(*) FROM ledger_entries), (SELECT count(*) FROM lots)
""")


@dataclass(frozen=True, slots=True)
class Counts:
    """How much was looked at."""

    accounts: int
    transactions: int
    entries: int
    lots: int


def differences(session: Session) -> Iterator[str]:
    """Every difference between what is stored and what the entries say, one sentence each."""
    for words, statement in CHECKS:
        for row in session.execute(text(statement)).mappings():
            yield words.format(**row)


def counts(session: Session) -> Counts:
    """How many rows there are to verify."""
    return Counts(*session.execute(_COUNTS).one())
