"""Figures for owners: sold, given, used, debited, refunded per branch, and what is still owed.

All of it is counted from the ledger's entries, so it agrees with every single history. What was
undone is taken off where it was counted: `sold` and `given` are net, `debited` is told beside
`refunded`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

# One row per branch and currency. Selling, giving and paying out are the issuer's; used, debited
# and refunded are what happened at this organisation's tills, whoever issued the certificate.
# What undoes something stands in the branch of what it undoes, wherever somebody came back to.
# What is owed belongs to the branch that issued, as do certificates that were transferred.
_BY_BRANCH: Final = text("""
WITH moved AS (
    SELECT CASE WHEN u.id IS NULL THEN t.branch_id ELSE u.branch_id END AS branch_id,
           s.unit_id, s.code, e.amount, holder.account_id,
           t.undoes_id IS NOT NULL AS undone, coalesce(u.type, t.type) AS about
      FROM accounts s
      JOIN ledger_units unit ON unit.id = s.unit_id AND unit.kind = 'currency'
      JOIN ledger_entries e ON e.account_id = s.id
      JOIN ledger_transactions t ON t.id = e.transaction_id
      LEFT JOIN ledger_transactions u ON u.id = t.undoes_id
      JOIN LATERAL (
        SELECT x.account_id FROM ledger_entries x JOIN accounts a ON a.id = x.account_id
         WHERE x.transaction_id = t.id AND a.kind = 'certificate' LIMIT 1) holder ON true
     WHERE s.kind = 'system' AND s.organisation_id = :organisation_id
       AND s.code IN ('cash-clearing', 'issuance', 'redemption')
       AND t.at >= :since AND t.at < :until
), money AS (
    SELECT branch_id, unit_id,
           -sum(amount) FILTER (WHERE about = 'credit' AND code = 'cash-clearing') AS sold,
           -sum(amount) FILTER (WHERE about = 'credit' AND code = 'issuance') AS given,
           count(DISTINCT account_id) FILTER (WHERE code = 'redemption' AND NOT undone) AS used,
           count(*) FILTER (WHERE code = 'redemption' AND NOT undone) AS redemptions,
           sum(amount) FILTER (WHERE code = 'redemption' AND NOT undone) AS debited,
           -sum(amount) FILTER (WHERE code = 'redemption' AND undone) AS refunded,
           sum(amount) FILTER (WHERE about <> 'credit' AND code = 'cash-clearing') AS paid_out
      FROM moved GROUP BY branch_id, unit_id
), own AS (
    SELECT c.id, c.branch_id, a.id AS account_id, a.unit_id, c.origin, c.issued_at,
           c.transferred_from_id
      FROM certificates c
      JOIN programmes p ON p.id = c.programme_id AND p.organisation_id = :organisation_id
      JOIN accounts a ON a.id = c.account_id
), issued AS (
    SELECT branch_id, unit_id,
           count(*) FILTER (WHERE origin = 'paid') AS sold_count,
           count(*) FILTER (WHERE origin = 'free') AS given_count
      FROM own
     WHERE transferred_from_id IS NULL AND issued_at >= :since AND issued_at < :until
     GROUP BY branch_id, unit_id
), owed AS (
    SELECT own.branch_id, own.unit_id, sum(e.amount) AS owed
      FROM own
      JOIN ledger_entries e ON e.account_id = own.account_id
      JOIN ledger_transactions t ON t.id = e.transaction_id AND t.at < :until
     GROUP BY own.branch_id, own.unit_id
), places AS (
    SELECT branch_id, unit_id FROM money
    UNION SELECT branch_id, unit_id FROM issued
    UNION SELECT branch_id, unit_id FROM owed
)
SELECT b.public_id AS branch, coalesce(b.name, '') AS name, unit.code AS currency,
       coalesce(issued.sold_count, 0) AS sold_count, coalesce(money.sold, 0)::bigint AS sold,
       coalesce(issued.given_count, 0) AS given_count, coalesce(money.given, 0)::bigint AS given,
       coalesce(money.used, 0) AS used, coalesce(money.redemptions, 0) AS redemptions,
       coalesce(money.debited, 0)::bigint AS debited,
       coalesce(money.refunded, 0)::bigint AS refunded,
       coalesce(money.paid_out, 0)::bigint AS paid_out,
       coalesce(owed.owed, 0)::bigint AS outstanding
  FROM places
  JOIN ledger_units unit ON unit.id = places.unit_id
  LEFT JOIN branches b ON b.id = places.branch_id
  LEFT JOIN money ON money.unit_id = places.unit_id
        AND money.branch_id IS NOT DISTINCT FROM places.branch_id
  LEFT JOIN issued ON issued.unit_id = places.unit_id
        AND issued.branch_id IS NOT DISTINCT FROM places.branch_id
  LEFT JOIN owed ON owed.unit_id = places.unit_id
        AND owed.branch_id IS NOT DISTINCT FROM places.branch_id
 ORDER BY unit.code, b.name NULLS LAST, b.id
""")


@dataclass(frozen=True, slots=True)
class BranchFigures:
    """One branch in one currency; sums in minor units. `branch` is None for what belongs to none.

    `used` counts certificates, `redemptions` the times. `outstanding` is owed at the end of the
    period on certificates that this branch issued.
    """

    branch: str | None
    name: str
    currency: str
    sold_count: int
    sold: int
    given_count: int
    given: int
    used: int
    redemptions: int
    debited: int
    refunded: int
    paid_out: int
    outstanding: int


def by_branch(
    session: Session, organisation_id: int, since: datetime, until: datetime
) -> list[BranchFigures]:
    """The figures of an organisation from `since` until before `until`, by branch."""
    values = {"organisation_id": organisation_id, "since": since, "until": until}
    return [BranchFigures(**row) for row in session.execute(_BY_BRANCH, values).mappings()]
