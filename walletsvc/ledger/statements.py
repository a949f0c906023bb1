"""Who owes whom, why, and how it came to that: statements between organisations.

The entries of a pair are those of its two accounts `inter-organisation`, which carry their
counterparty; each side reads its own account, and the other's mirrors it. Amounts are in the
unit's minor unit, above zero what the organisation owes, below zero what it is owed.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlmodel import Session

from walletsvc.ledger import clearing_days
from walletsvc.ledger.models import UnitKind


class Movement(enum.StrEnum):
    """Why a debt between two organisations changed."""

    REDEEMED = "redeemed"
    REDEMPTION_REFUNDED = "redemption_refunded"
    GRANTED = "granted"
    GRANT_TAKEN_BACK = "grant_taken_back"
    SETTLED = "settled"
    SETTLEMENT_TAKEN_BACK = "settlement_taken_back"


# Looked up first: with the accounts' ids the planner knows how many entries each of them has.
_OWN: Final = text("""
SELECT a.id, c.slug AS counterparty, c.name AS counterparty_name,
       u.code AS unit, u.kind AS unit_kind, u.scale
  FROM accounts a
  JOIN organisations c ON c.id = a.counterparty_id
  JOIN ledger_units u ON u.id = a.unit_id
 WHERE a.kind = 'system' AND a.code = 'inter-organisation' AND a.organisation_id = :own
   AND (CAST(:with AS bigint) IS NULL OR a.counterparty_id = :with)
   AND (CAST(:unit AS text) IS NULL OR u.code = :unit)
 ORDER BY c.slug, u.code
""")
_MOVEMENT: Final = """
CASE coalesce(o.type, t.type)
    WHEN 'debit' THEN CASE WHEN o.id IS NULL THEN 'redeemed' ELSE 'redemption_refunded' END
    WHEN 'capture' THEN CASE WHEN o.id IS NULL THEN 'redeemed' ELSE 'redemption_refunded' END
    WHEN 'credit' THEN CASE WHEN o.id IS NULL THEN 'granted' ELSE 'grant_taken_back' END
    WHEN 'accrual' THEN CASE WHEN o.id IS NULL THEN 'granted' ELSE 'grant_taken_back' END
    WHEN 'settlement' THEN
        CASE WHEN o.id IS NULL THEN 'settled' ELSE 'settlement_taken_back' END
END"""

# All entries before the midnight (UTC) before a period: days that were counted, and of what was
# written after the mark, the little that is of those days. The rest of the past and the period
# itself are found by time: they cost what happened in them.
_PAST: Final = """
SELECT account_id, sum(amount)::bigint AS amount
  FROM clearing_days
 WHERE account_id = ANY(CAST(:ids AS bigint[])) AND through_id <= :mark AND day < :day
 GROUP BY account_id
 UNION ALL
SELECT e.account_id, sum(e.amount)::bigint
  FROM ledger_entries e
  JOIN ledger_transactions t ON t.id = e.transaction_id
 WHERE e.account_id = ANY(CAST(:ids AS bigint[])) AND e.id > :mark AND t.at < :midnight
 GROUP BY e.account_id"""
_OF_PERIOD: Final = """
  FROM ledger_entries e
  JOIN ledger_transactions t ON t.id = e.transaction_id
  JOIN organisations whose ON whose.id = t.organisation_id
  LEFT JOIN ledger_transactions o ON o.id = t.undoes_id
  LEFT JOIN branches b ON b.id = t.branch_id
 WHERE e.account_id = ANY(CAST(:ids AS bigint[])) AND t.at >= :midnight AND t.at < :until"""

# One statement, so that the opening and every movement are of one moment.
STATEMENT_SQL: Final = f"""
SELECT account_id, true AS before, NULL AS movement, NULL AS organisation, 0 AS times, amount
  FROM ({_PAST}) past
 UNION ALL
SELECT e.account_id, t.at < :since, {_MOVEMENT}, whose.slug, count(*), sum(e.amount)::bigint
{_OF_PERIOD}
 GROUP BY 1, 2, 3, 4
 ORDER BY 1, 3, 4
"""  # noqa: S608 - composed of constants
_STATEMENT: Final = text(STATEMENT_SQL)

# By the time of a transaction, not by the order of writing: those are what a period is made of.
LINES_SQL: Final = f"""
WITH past AS (
    SELECT account_id, sum(amount)::bigint AS amount FROM ({_PAST}) past GROUP BY account_id
)
SELECT line.*, (line.running + coalesce(past.amount, 0))::bigint AS total
  FROM (
    SELECT e.id, e.account_id, t.public_id, t.at, {_MOVEMENT} AS movement,
           whose.slug AS organisation, b.public_id AS branch, b.name AS branch_name, e.amount,
           sum(e.amount) OVER (PARTITION BY e.account_id ORDER BY t.at, e.id) AS running,
           CASE WHEN coalesce(o.type, t.type) = 'settlement' THEN t.reason ELSE '' END AS reason
{_OF_PERIOD}
  ) line
  LEFT JOIN past ON past.account_id = line.account_id
 WHERE line.at >= :since
   AND (CAST(:after_id AS bigint) IS NULL OR (line.at, line.id) > (:since, :after_id))
 ORDER BY line.at, line.id
 LIMIT :limit
"""  # noqa: S608 - composed of constants
_LINES: Final = text(LINES_SQL)
# Each period its own plan: one for any period would read the whole past of the accounts.
_PLAN: Final = text("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")
_PLACE: Final = text("""
SELECT t.at, max(e.id) AS id
  FROM ledger_transactions t
  JOIN ledger_entries e ON e.transaction_id = t.id
  JOIN accounts a ON a.id = e.account_id
 WHERE t.public_id = :public_id AND a.organisation_id = :own
   AND a.kind = 'system' AND a.code = 'inter-organisation'
 GROUP BY t.at
""")
_DEALT_WITH: Final = text("""
SELECT EXISTS (SELECT FROM accounts WHERE kind = 'system' AND code = 'inter-organisation'
                  AND organisation_id = :own AND counterparty_id = :with)
    OR EXISTS (SELECT FROM acceptances
                WHERE (issuer_id = :own AND acceptor_id = :with)
                   OR (issuer_id = :with AND acceptor_id = :own))
""")
_UNIT_BETWEEN: Final = text("""
SELECT u.id FROM accounts a JOIN ledger_units u ON u.id = a.unit_id
 WHERE a.kind = 'system' AND a.code = 'inter-organisation' AND a.organisation_id = :own
   AND a.counterparty_id = :with AND u.code = :unit
""")
_CHUNK: Final = 1000


@dataclass(frozen=True, slots=True)
class MovementSum:
    """All of one kind in a period: how many, and by how much they changed the debt.

    `organisation` is the slug of whose points or certificates they were; of settlements, of
    the one that paid.
    """

    movement: Movement
    organisation: str
    count: int
    amount: int


@dataclass(slots=True)
class Statement:
    """What an organisation owes one counterparty in one unit, before and after a period."""

    counterparty: str
    counterparty_name: str
    unit: str
    unit_kind: UnitKind
    scale: int
    opening: int = 0
    movements: list[MovementSum] = field(default_factory=list)

    @property
    def closing(self) -> int:
        """What is owed at the end of the period, which is the opening of the next."""
        return self.opening + sum(each.amount for each in self.movements)


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One transaction between two organisations; `total` is what is owed after it.

    `id` is an entry's and never leaves the service. `reason` is that of a settlement or its
    undoing: other reasons are between an organisation and its customers.
    """

    id: int
    public_id: str
    at: datetime
    counterparty: str
    unit: str
    scale: int
    movement: Movement
    organisation: str
    branch: str | None
    branch_name: str | None
    amount: int
    total: int
    reason: str


def statements(
    session: Session,
    organisation_id: int,
    *,
    since: datetime,
    until: datetime,
    counterparty_id: int | None = None,
) -> list[Statement]:
    """An organisation's statements from `since` until just before `until`, by counterparty.

    One for each counterparty and unit with something owed at the beginning or any movement.
    """
    own = _own(session, organisation_id, counterparty_id, None)
    found = {
        row.id: Statement(
            row.counterparty,
            row.counterparty_name,
            row.unit,
            UnitKind(row.unit_kind),
            row.scale,
        )
        for row in own.values()
    }
    for row in session.execute(_STATEMENT, _period(session, own, since, until)):
        statement = found[row.account_id]
        if row.before:
            statement.opening += row.amount
        else:
            statement.movements.append(
                MovementSum(Movement(row.movement), row.organisation, row.times, row.amount)
            )
    return [each for each in found.values() if each.opening or each.movements]


def lines(
    session: Session,
    organisation_id: int,
    *,
    since: datetime,
    until: datetime,
    counterparty_id: int | None = None,
    unit: str | None = None,
    after: tuple[datetime, int] | None = None,
    limit: int | None = None,
) -> Iterator[StatementLine]:
    """The transactions behind an organisation's statements, oldest first.

    `after` is where to go on from (`place`). The rows come as they are read, so that any number
    can be exported.
    """
    own = _own(session, organisation_id, counterparty_id, unit)
    # Going on costs what is left of the period.
    begin, after_id = (since, None) if after is None or after[0] < since else after
    parameters = _period(session, own, begin, until)
    rows = session.execute(
        _LINES,
        parameters | {"after_id": after_id, "limit": limit},
        execution_options={"yield_per": _CHUNK},
    )
    for row in rows:
        pair = own[row.account_id]
        yield StatementLine(
            id=row.id,
            public_id=row.public_id,
            at=row.at,
            counterparty=pair.counterparty,
            unit=pair.unit,
            scale=pair.scale,
            movement=Movement(row.movement),
            organisation=row.organisation,
            branch=row.branch,
            branch_name=row.branch_name,
            amount=row.amount,
            total=row.total,
            reason=row.reason,
        )


def place(session: Session, organisation_id: int, public_id: str) -> tuple[datetime, int] | None:
    """Where a transaction stands among an organisation's lines; None when it is none of them."""
    row = session.execute(_PLACE, {"public_id": public_id, "own": organisation_id}).one_or_none()
    return None if row is None else (row.at, row.id)


def dealt_with(session: Session, organisation_id: int, counterparty_id: int) -> bool:
    """Whether two organisations accept anything of each other's, or ever did and dealt."""
    parameters = {"own": organisation_id, "with": counterparty_id}
    return bool(session.execute(_DEALT_WITH, parameters).scalar_one())


def unit_between(
    session: Session, organisation_id: int, counterparty_id: int, code: str
) -> int | None:
    """The id of a unit in which two organisations ever dealt with each other."""
    parameters = {"own": organisation_id, "with": counterparty_id, "unit": code}
    return session.execute(_UNIT_BETWEEN, parameters).scalar()


def _own(
    session: Session, organisation_id: int, counterparty_id: int | None, unit: str | None
) -> dict[int, Row[Any]]:
    """The organisation's accounts with others, by id, in the order of names."""
    rows = session.execute(_OWN, {"own": organisation_id, "with": counterparty_id, "unit": unit})
    return {row.id: row for row in rows}


def _period(
    session: Session, own: Collection[int], since: datetime, until: datetime
) -> dict[str, Any]:
    session.execute(_PLAN)
    midnight = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "ids": list(own),
        "mark": clearing_days.mark(session),
        "day": midnight.date(),
        "midnight": midnight,
        "since": since,
        "until": until,
    }
