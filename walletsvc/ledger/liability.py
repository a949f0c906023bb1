"""What organisations owe the holders of points and certificates, at any moment.

The present is stored; what was posted since the moment asked for is taken back from it. So the
answer for a past day does not change with later spending, expiry, reversals, merging or transfer:
lots and accounts that became another's belong to the same organisation and unit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

# An end is the midnight after the last day, so the month is that of the moment before it. One
# statement, so that points and entries are of one moment while tills go on posting.
_LIABILITY: Final = text("""
WITH since AS MATERIALIZED (
    SELECT id FROM ledger_transactions WHERE at > :at
), moved AS (
    SELECT m.lot_id, sum(m.amount) AS amount
      FROM lot_movements m JOIN since ON since.id = m.transaction_id GROUP BY m.lot_id
), zone AS (
    SELECT * FROM unnest(CAST(:units AS bigint[]), CAST(:zones AS text[])) AS zone (unit_id, name)
), lot AS (
    SELECT a.organisation_id, a.unit_id,
           l.matured_id IS NOT NULL AND grown.id IS NULL AS matured,
           CAST(date_trunc('month', (l.expires_at - interval '1 microsecond')
                AT TIME ZONE coalesce(zone.name, 'UTC')) AS date) AS month,
           l.remaining - coalesce(moved.amount, 0) AS remaining
      FROM lots l
      JOIN accounts a ON a.id = l.account_id
      LEFT JOIN zone ON zone.unit_id = a.unit_id
      LEFT JOIN moved ON moved.lot_id = l.id
      LEFT JOIN since born ON born.id = l.transaction_id
      LEFT JOIN since grown ON grown.id = l.matured_id
     WHERE born.id IS NULL AND (l.remaining > 0 OR moved.amount IS NOT NULL)
       AND (CAST(:organisation_id AS bigint) IS NULL OR a.organisation_id = :organisation_id)
), posted AS (
    SELECT e.account_id, sum(e.amount) AS amount
      FROM ledger_entries e JOIN since ON since.id = e.transaction_id
     WHERE e.balance_after IS NOT NULL GROUP BY e.account_id
), holder AS (
    SELECT a.organisation_id, a.unit_id, a.kind, a.balance - coalesce(posted.amount, 0) AS balance
      FROM accounts a LEFT JOIN posted ON posted.account_id = a.id
     WHERE a.kind <> 'system' AND (a.balance <> 0 OR posted.amount IS NOT NULL)
       AND (CAST(:organisation_id AS bigint) IS NULL OR a.organisation_id = :organisation_id)
), figure AS (
    SELECT organisation_id, unit_id, CASE WHEN matured THEN 'available' ELSE 'future' END AS what,
           month, sum(remaining) AS amount, count(*) AS number
      FROM lot WHERE remaining <> 0 GROUP BY organisation_id, unit_id, matured, month
     UNION ALL
    SELECT organisation_id, unit_id, kind, NULL, sum(balance), count(*) FILTER (WHERE balance > 0)
      FROM holder WHERE balance <> 0 GROUP BY organisation_id, unit_id, kind
)
SELECT o.slug AS organisation, u.code AS unit, u.scale, f.what, f.month,
       f.amount::bigint AS amount, f.number
  FROM figure f
  JOIN organisations o ON o.id = f.organisation_id
  JOIN ledger_units u ON u.id = f.unit_id
 ORDER BY o.slug, u.code, f.what, f.month
""")

_ROOM: Final = text("SELECT set_config('work_mem', '64MB', true)")

# The first day of the month in which points end; None for those without an end.
Months = Mapping[date | None, int]


@dataclass(frozen=True, slots=True)
class Points:
    """Points owed by an organisation in one unit, in minor units.

    `available` may be spent, or is held or past its end and not written off yet; `future` is
    earned and comes later. `balance` is what the holders' entries sum to; `debts`, what holders
    owe, is by how much that is less than what is available.
    """

    organisation: str
    unit: str
    scale: int
    available: Months = field(default_factory=dict)
    future: Months = field(default_factory=dict)
    balance: int = 0

    @property
    def available_total(self) -> int:
        """All available points."""
        return sum(self.available.values())

    @property
    def future_total(self) -> int:
        """All points that come later."""
        return sum(self.future.values())

    @property
    def debts(self) -> int:
        """What holders owe: their lots are empty and their balances below zero by this."""
        return self.available_total - self.balance


@dataclass(frozen=True, slots=True)
class Certificates:
    """Money owed on gift certificates of an organisation; `count` is how many have some."""

    organisation: str
    unit: str
    scale: int
    owed: int
    count: int


@dataclass(frozen=True, slots=True)
class Liability:
    """All that is owed at a moment."""

    at: datetime
    points: tuple[Points, ...]
    certificates: tuple[Certificates, ...]


def liability(
    session: Session,
    at: datetime,
    *,
    organisation_id: int | None = None,
    zones: Mapping[int, str] | None = None,
) -> Liability:
    """What was owed at `at`, by one organisation or by all of them.

    `zones` are the time zones in which the points of a unit end, by the unit's id; UTC for
    those not named.
    """
    zones = zones or {}
    session.execute(_ROOM)
    rows = session.execute(
        _LIABILITY,
        {
            "at": at,
            "organisation_id": organisation_id,
            "units": list(zones),
            "zones": list(zones.values()),
        },
    ).all()
    months: dict[tuple[str, str, int, str], dict[date | None, int]] = defaultdict(dict)
    points, certificates = set(), []
    for row in rows:
        key = (row.organisation, row.unit, row.scale)
        if row.what == "certificate":
            certificates.append(Certificates(*key, row.amount, row.number))
        else:
            points.add(key)
            months[(*key, row.what)][row.month] = row.amount
    found = [
        Points(
            *key,
            months[(*key, "available")],
            months[(*key, "future")],
            months[(*key, "customer")].get(None, 0),
        )
        for key in sorted(points)
    ]
    return Liability(at, tuple(found), tuple(certificates))
