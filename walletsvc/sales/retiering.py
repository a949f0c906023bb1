"""The tier that an account would have if a mistaken purchase had never been reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlmodel import Session

from walletsvc.programmes.models import Programme
from walletsvc.programmes.rulebook import tiers as rules
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.tiers.models import TierCause
from walletsvc.programmes.tiers.queries import base_values
from walletsvc.programmes.versions import book_of, current
from walletsvc.sales.models import Purchase

# The purchase and those that it stands in for: the mistake is as old as the first of them. Within
# an account ids follow time, for its lock orders them.
_CHANGES: Final = text("""
WITH RECURSIVE mistake AS (
    SELECT id, corrects_id, recorded_at FROM purchases WHERE id = :purchase_id
    UNION ALL
    SELECT p.id, p.corrects_id, p.recorded_at
      FROM purchases p JOIN mistake ON p.id = mistake.corrects_id
)
SELECT c.from_tier, c.to_tier, c.at, c.cause, c.purchase_id,
       coalesce(c.purchase_id IN (SELECT id FROM mistake), false) AS mistaken
  FROM tier_changes c
 WHERE c.account_id = :account_id
   AND (c.at > (SELECT min(recorded_at) FROM mistake)
        OR c.purchase_id >= (SELECT min(id) FROM mistake))
 ORDER BY c.id
""")
# What had been bought when another purchase was recorded, without all that was reported wrongly.
_BASE_THEN: Final = text("""
WITH RECURSIVE joined AS (
    SELECT id FROM accounts WHERE id = :account_id
    UNION ALL
    SELECT a.id FROM accounts a JOIN joined ON a.merged_into_id = joined.id
)
SELECT coalesce(sum(p.tier_amount - coalesce(back.amount, 0)), 0)::bigint
  FROM purchases p
  LEFT JOIN LATERAL (
    SELECT sum((r.outcome #>> '{share,total,turnover}')::bigint) AS amount FROM refunds r
     WHERE r.purchase_id = p.id AND r.state = 'done' AND r.recorded_at < :then) back ON true
 WHERE p.account_id IN (SELECT id FROM joined) AND p.id <= :until AND p.state <> 'corrected'
   AND (p.at AT TIME ZONE :zone)::date <= :today
   AND (CAST(:since AS date) IS NULL OR (p.at AT TIME ZONE :zone)::date >= CAST(:since AS date))
   AND (CAST(:organisations AS text[]) IS NULL OR p.organisation_id IN (
     SELECT id FROM organisations WHERE slug = ANY(CAST(:organisations AS text[]))))
""")


@dataclass(frozen=True, slots=True)
class Fair:
    """The tier without the mistake, as far as history tells; `purchase_id`: what it undoes."""

    tier: str | None
    purchase_id: int | None


def fair_tier(
    session: Session, account_id: int, programme: Programme, mistake: Purchase
) -> Fair | None:
    """The tier that the account would have without this purchase, which is `corrected` by now.

    What a later purchase moved up by itself stays, also when it came back since: that is for the
    regular check. None when no tier changed since the purchase, or nothing is published.
    """
    version = current(session, programme.id)
    values = {"account_id": account_id, "purchase_id": mistake.id}
    changes = list(session.execute(_CHANGES, values))
    if version is None or not changes:
        return None
    book = book_of(version)
    tier: str | None = changes[0].from_tier
    for change in changes:
        if _rank(book, change.to_tier) < _rank(book, change.from_tier):
            tier = lower_of(book, tier, change.to_tier)
        elif change.cause == TierCause.MERGE:
            tier = max(tier, change.to_tier, key=lambda code: _rank(book, code))
        elif change.cause == TierCause.PURCHASE and not change.mistaken:
            base = _base_then(session, account_id, programme, book, change)
            reached = rules.reached(book, base, tier)
            tier = reached.code if reached else tier
    return Fair(tier, changes[0].purchase_id)


def _base_then(
    session: Session, account_id: int, programme: Programme, book: RuleBook, change: Row[Any]
) -> int:
    today = change.at.astimezone(ZoneInfo(programme.time_zone)).date()
    base: int = session.execute(
        _BASE_THEN,
        base_values(book, today)
        | {
            "account_id": account_id,
            "until": change.purchase_id,
            "then": change.at,
            "zone": programme.time_zone,
        },
    ).scalar_one()
    return base


def _rank(book: RuleBook, code: str | None) -> int:
    found = rules.find(book, code)
    return found.threshold if found else -1


def lower_of(book: RuleBook, one: str | None, other: str | None) -> str | None:
    """The lower of two tiers; one that the book does not have is the lowest."""
    return min(one, other, key=lambda code: _rank(book, code))
