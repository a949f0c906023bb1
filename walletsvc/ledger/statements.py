"""Who owes whom, why, and how it came to that: statements between organisations.

The entries of a pair are those of its two accounts `inter-organisation`, which carry their
counterparty; each side reads its own account, and the other's mirrors it. Amounts are in the
unit's minor unit, above zero what the organisation owes, below zero what it is owed.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.ledger.models import UnitKind


class Movement(enum.StrEnum):
    """Why a debt between two organisations changed."""

    REDEEMED = "redeemed"
    REDEMPTION_REFUNDED = "redemption_refunded"
    GRANTED = "granted"
    GRANT_TAKEN_BACK = "grant_taken_back"
    SETTLED = "settled"
    SETTLEMENT_TAKEN_BACK = "settlement_taken_back"


_OWN: Final = """
own AS (
    SELECT a.id, a.counterparty_id, c.slug AS counterparty, c.name AS counterparty_name,
           u.id AS unit_id, u.code AS unit, u.kind AS unit_kind, u.scale
      FROM accounts a
      JOIN organisations c ON c.id = a.counterparty_id
      JOIN ledger_units u ON u.id = a.unit_id
     WHERE a.kind = 'system' AND a.code = 'inter-organisation' AND a.organisation_id = :own
       AND (CAST(:with AS bigint) IS NULL OR a.counterparty_id = :with)
       AND (CAST(:unit AS text) IS NULL OR u.code = :unit)
)"""
_MOVEMENT: Final = """
CASE coalesce(o.type, t.type)
    WHEN 'debit' THEN CASE WHEN o.id IS NULL THEN 'redeemed' ELSE 'redemption_refunded' END
    WHEN 'capture' THEN CASE WHEN o.id IS NULL THEN 'redeemed' ELSE 'redemption_refunded' END
    WHEN 'credit' THEN CASE WHEN o.id IS NULL THEN 'granted' ELSE 'grant_taken_back' END
    WHEN 'accrual' THEN CASE WHEN o.id IS NULL THEN 'granted' ELSE 'grant_taken_back' END
    WHEN 'settlement' THEN
        CASE WHEN o.id IS NULL THEN 'settled' ELSE 'settlement_taken_back' END
END"""

# One statement, so that the opening and every movement are of one moment.
_STATEMENT: Final = text(f"""
WITH {_OWN}
SELECT own.counterparty, own.counterparty_name, own.unit, own.unit_kind, own.scale,
       t.at < :since AS before, {_MOVEMENT} AS movement, whose.slug AS organisation,
       count(*) AS times, sum(e.amount)::bigint AS amount
  FROM own
  JOIN ledger_entries e ON e.account_id = own.id
  JOIN ledger_transactions t ON t.id = e.transaction_id
  JOIN organisations whose ON whose.id = t.organisation_id
  LEFT JOIN ledger_transactions o ON o.id = t.undoes_id
 WHERE t.at < :until
 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
 ORDER BY 1, 3, 7, 8
""")  # noqa: S608 - composed of constants

# By the time of a transaction, not by the order of writing: those are what a period is made of.
_LINES: Final = text(f"""
WITH {_OWN}
SELECT * FROM (
    SELECT e.id, t.public_id, t.at, own.counterparty, own.unit, own.scale,
           {_MOVEMENT} AS movement, whose.slug AS organisation,
           b.public_id AS branch, b.name AS branch_name, e.amount,
           (sum(e.amount) OVER (PARTITION BY own.id ORDER BY t.at, e.id))::bigint AS total,
           CASE WHEN coalesce(o.type, t.type) = 'settlement' THEN t.reason ELSE '' END AS reason
      FROM own
      JOIN ledger_entries e ON e.account_id = own.id
      JOIN ledger_transactions t ON t.id = e.transaction_id
      JOIN organisations whose ON whose.id = t.organisation_id
      LEFT JOIN ledger_transactions o ON o.id = t.undoes_id
      LEFT JOIN branches b ON b.id = t.branch_id
     WHERE t.at < :until
) line
 WHERE at >= :since
   AND (CAST(:after_at AS timestamptz) IS NULL OR (at, id) > (:after_at, :after_id))
 ORDER BY at, id
 LIMIT :limit
""")  # noqa: S608 - composed of constants
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
    parameters = _period(organisation_id, since, until, counterparty_id, None)
    found: dict[tuple[str, str], Statement] = {}
    for row in session.execute(_STATEMENT, parameters):
        statement = found.setdefault(
            (row.counterparty, row.unit),
            Statement(
                row.counterparty,
                row.counterparty_name,
                row.unit,
                UnitKind(row.unit_kind),
                row.scale,
            ),
        )
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
    parameters = _period(organisation_id, since, until, counterparty_id, unit)
    after_at, after_id = after or (None, None)
    rows = session.execute(
        _LINES,
        parameters | {"after_at": after_at, "after_id": after_id, "limit": limit},
        execution_options={"yield_per": _CHUNK},
    )
    for row in rows.mappings():
        yield StatementLine(**{**row, "movement": Movement(row["movement"])})


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


def _period(
    own: int, since: datetime, until: datetime, counterparty_id: int | None, unit: str | None
) -> dict[str, Any]:
    return {"own": own, "since": since, "until": until, "with": counterparty_id, "unit": unit}
