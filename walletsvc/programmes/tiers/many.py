"""Tiers of many accounts at once, for the jobs: a few statements per batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.jobs.changes import Lane, touch
from walletsvc.jobs.events import TierChanged, emit
from walletsvc.programmes.models import Programme
from walletsvc.programmes.rulebook import tiers as rules
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.tiers.models import TierCause
from walletsvc.programmes.tiers.queries import base_values, with_base

# In ascending order, as everybody locks accounts. One that was merged meanwhile has nothing.
_LOCK: Final = text(
    "SELECT id FROM accounts WHERE id = ANY(CAST(:ids AS bigint[])) AND merged_into_id IS NULL"
    " ORDER BY id FOR NO KEY UPDATE"
)
_FACTS: Final = text(
    with_base(
        "SELECT a.id, t.account_id IS NOT NULL AS known, t.tier, <base> AS base"
        " FROM unnest(CAST(:ids AS bigint[])) AS a (id)"
        " LEFT JOIN account_tiers t ON t.account_id = a.id ORDER BY a.id",
        "a.id",
    )
)
_STORE: Final = text("""
INSERT INTO account_tiers (account_id, programme_id, tier, base, base_on, since, checked_on)
SELECT n.account_id, :programme_id, n.tier, n.base, :today, :now, :today
  FROM unnest(CAST(:ids AS bigint[]), CAST(:tiers AS text[]), CAST(:bases AS bigint[]))
    AS n (account_id, tier, base)
ON CONFLICT (account_id) DO UPDATE SET
  tier = excluded.tier, base = excluded.base, base_on = excluded.base_on,
  since = CASE WHEN account_tiers.tier IS DISTINCT FROM excluded.tier THEN excluded.since
               ELSE account_tiers.since END,
  checked_on = CASE WHEN :checked THEN excluded.checked_on ELSE account_tiers.checked_on END
""")
_CHANGED: Final = text("""
INSERT INTO tier_changes (account_id, from_tier, to_tier, at, cause)
SELECT n.account_id, n.before, n.after, :now, :cause
  FROM unnest(CAST(:ids AS bigint[]), CAST(:before AS text[]), CAST(:after AS text[]))
    AS n (account_id, before, after)
""")


@dataclass(frozen=True, slots=True)
class Looked:
    """How many accounts were looked at, went up, went down, and left a tier that is no more."""

    accounts: int = 0
    up: int = 0
    down: int = 0
    reassigned: int = 0

    def __add__(self, other: Looked) -> Looked:
        return Looked(
            self.accounts + other.accounts,
            self.up + other.up,
            self.down + other.down,
            self.reassigned + other.reassigned,
        )


@dataclass(frozen=True, slots=True)
class _Account:
    id: int
    present: str | None
    goal: str | None
    base: int
    stays: bool  # nothing about it has to be written


def settle_many(
    session: Session,
    programme: Programme,
    book: RuleBook,
    account_ids: Sequence[int],
    now: datetime,
    cause: TierCause,
    *,
    check: bool = False,
    touch_all: bool = False,
    at_least: Mapping[int, str] | None = None,
) -> Looked:
    """Put each of the accounts, all of this programme, in the tier that its turnover reaches.

    Up at once; down only with `check`, which is the regular one and is noted. Who is in a tier
    that the book does not have leaves it either way. `touch_all` also shows those anew whose tier
    stays: what it is called, or what is missing to the next one, may have changed. `at_least`
    names a tier that an account is in by right, whatever it bought.
    """
    ids = list(session.execute(_LOCK, {"ids": sorted(set(account_ids))}).scalars())
    today = now.astimezone(ZoneInfo(programme.time_zone)).date()
    rows = session.execute(_FACTS, base_values(book, today) | {"ids": ids}).all()
    floors = at_least or {}
    found = [_looked_at(book, row, check, floors.get(row.id)) for row in rows]
    _store(session, programme, [each for each in found if not each.stays], now, today, check)
    moved = [each for each in found if each.goal != each.present]
    shown = ids if touch_all else [each.id for each in found if not each.stays]
    touch(session, "account", shown, at=now, lane=Lane.BULK)
    _tell(session, programme, moved, now, cause)
    return _counted(book, len(ids), moved)


def _counted(book: RuleBook, accounts: int, moved: Sequence[_Account]) -> Looked:
    rank = {tier.code: number for number, tier in enumerate(book.tiers)}
    ranks = [(rank.get(each.present or ""), rank.get(each.goal or "")) for each in moved]
    both = [(before, after) for before, after in ranks if before is not None and after is not None]
    down = sum(after < before for before, after in both)
    return Looked(accounts, len(both) - down, down, len(moved) - len(both))


def _looked_at(book: RuleBook, row: Any, check: bool, floor: str | None) -> _Account:
    first = book.tiers[0].code if book.tiers else None
    present = row.tier if row.known else first
    choose = rules.tier_for(book, row.base) if check else rules.reached(book, row.base, present)
    by_right = rules.find(book, floor)
    if by_right and (choose is None or by_right.threshold > choose.threshold):
        choose = by_right
    goal = choose.code if choose else None
    # A row is written anew even when it says the same: its day is how far the job has come.
    stays = not row.known and goal == present and row.base == 0
    return _Account(row.id, present, goal, row.base, stays)


def _store(
    session: Session,
    programme: Programme,
    accounts: Sequence[_Account],
    now: datetime,
    today: date,
    check: bool,
) -> None:
    if not accounts:
        return
    session.execute(
        _STORE,
        {
            "programme_id": programme.id,
            "ids": [each.id for each in accounts],
            "tiers": [each.goal for each in accounts],
            "bases": [each.base for each in accounts],
            "today": today,
            "now": now,
            "checked": check,
        },
    )


def _tell(
    session: Session,
    programme: Programme,
    moved: Sequence[_Account],
    now: datetime,
    cause: TierCause,
) -> None:
    if not moved:
        return
    session.execute(
        _CHANGED,
        {
            "ids": [each.id for each in moved],
            "before": [each.present for each in moved],
            "after": [each.goal for each in moved],
            "now": now,
            "cause": cause.value,
        },
    )
    if cause is TierCause.IMPORT:
        return  # nobody moved: the list tells where they had been
    for each in moved:
        emit(
            session,
            TierChanged(
                at=now,
                account_id=each.id,
                programme_id=programme.id,
                before=each.present,
                after=each.goal,
                cause=cause.value,
            ),
        )
