"""Turnover and what follows from it: up at once, never down except by the schedule.

Whoever calls holds the lock of the account (`ledger.lock`), so that an account's turnover and
tier change one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.jobs.changes import touch
from walletsvc.jobs.events import AccountsMerged, AccountSplit, TierChanged, emit
from walletsvc.programmes.models import Programme, RuleVersion
from walletsvc.programmes.rulebook import tiers as rules
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.tiers.models import AccountTier, TierCause, TierChange
from walletsvc.programmes.tiers.queries import StoredTier, base_values, tier_base, with_base
from walletsvc.programmes.versions import book_of, current
from walletsvc.storage.statement import Statement

__all__ = [
    "Planned",
    "Seen",
    "account_split",
    "accounts_merged",
    "add_turnover",
    "follow",
    "plan",
    "reconsider",
    "store",
    "tier_base",
    "withdraw",
]

_ADD: Final = Statement("""
INSERT INTO turnover (account_id, organisation_id, day, amount)
VALUES (:account_id, :organisation_id, :day, :amount)
ON CONFLICT (account_id, organisation_id, day)
DO UPDATE SET amount = turnover.amount + excluded.amount
""")
_FACTS: Final = Statement(
    with_base(
        "SELECT (SELECT public_id FROM rule_versions"
        "         WHERE programme_id = :programme_id AND state = 'published') AS published,"
        " t.account_id IS NOT NULL AS known, t.tier, t.base AS stored_base, <base> AS base"
        " FROM (SELECT 1) AS one LEFT JOIN account_tiers t ON t.account_id = :account_id",
        ":account_id",
    )
)
_STORE: Final = Statement("""
INSERT INTO account_tiers (account_id, programme_id, tier, base, base_on, since, checked_on)
VALUES (:account_id, :programme_id, :tier, :base, :today, :now, :today)
ON CONFLICT (account_id) DO UPDATE SET tier = excluded.tier, base = excluded.base,
  base_on = excluded.base_on,
  since = CASE WHEN account_tiers.tier IS DISTINCT FROM excluded.tier THEN excluded.since
               ELSE account_tiers.since END
""")
_MOVE_TURNOVER: Final = text("""
WITH gone AS (DELETE FROM turnover WHERE account_id = :account_id RETURNING *)
INSERT INTO turnover (account_id, organisation_id, day, amount)
SELECT :into_id, organisation_id, day, amount FROM gone
ON CONFLICT (account_id, organisation_id, day)
DO UPDATE SET amount = turnover.amount + excluded.amount
""")


def add_turnover(
    session: Session, account_id: int, organisation_id: int, day: date, amount: int
) -> None:
    """Count a purchase (or, below zero, a refund of one of that day) for the account.

    `amount` in minor units of the programme's currency; `day` is that of the purchase, local to
    the programme. The tier follows with `reconsider`.
    """
    if amount:
        keys = {"account_id": account_id, "organisation_id": organisation_id, "day": day}
        _ADD.ask(session, keys | {"amount": amount})


def reconsider(
    session: Session,
    account_id: int,
    programme: Programme,
    now: datetime,
    cause: TierCause,
    *,
    version: RuleVersion | None = None,
    purchase_id: int | None = None,
    upgrade_only: bool = True,
    touched: bool = False,
    seen: Seen | None = None,
) -> TierChange | None:
    """Put the account in the tier that its turnover reaches under the published rules.

    Up at once; down only without `upgrade_only`. `version` is the one that the caller takes to be
    published: it saves a look-up, and is not believed when another one is by now. `touched` says
    that the caller notes the account as changed anyway; `seen` saves looking at it again. Emits
    TierChanged; returns None when the tier stays as it is, or when nothing is published.
    """
    planned = plan(session, account_id, programme, version, now, seen, upgrade_only=upgrade_only)
    return _write(session, planned, cause, purchase_id, touched)


def plan(
    session: Session,
    account_id: int,
    programme: Programme,
    version: RuleVersion | None,
    now: datetime,
    seen: Seen | None = None,
    *,
    upgrade_only: bool = True,
) -> Planned | None:
    """What `reconsider` would write, for a caller that stores and then follows it itself; None when
    nothing changes."""
    found = _standing(session, account_id, programme, version, now, seen)
    return None if found is None else _planned(found, _goal(found, upgrade_only), now)


def withdraw(
    session: Session,
    account_id: int,
    programme: Programme,
    now: datetime,
    fair: str | None,
    *,
    purchase_id: int | None,
    cause: TierCause = TierCause.PURCHASE,
) -> TierChange | None:
    """Take a tier back at once that only a mistake reached.

    `fair` is the tier that the account would have without it; what its turnover reaches by itself
    stays. Never moves an account up. Emits TierChanged; returns None when the tier stays.
    """
    found = _standing(session, account_id, programme, None, now)
    if found is None:
        return None
    goal = _goal(replace(found, present=fair), upgrade_only=True)
    if goal is None or _better(found.book, goal, found.present) == goal:
        return None
    return _write(session, _planned(found, goal, now), cause, purchase_id, touched=False)


def accounts_merged(session: Session, event: AccountsMerged) -> None:
    """The turnover of both counts together, and the better of the two tiers stays."""
    pair = {"account_id": event.account_id, "into_id": event.into_id}
    session.execute(_MOVE_TURNOVER, pair)
    joining = session.get(AccountTier, event.account_id, populate_existing=True)
    brought = joining.tier if joining is not None else None
    if joining is not None:
        session.delete(joining)
        session.flush()
    programme = session.get_one(Programme, event.programme_id)
    found = _standing(session, event.into_id, programme, None, event.at)
    if found is None:
        return
    better = replace(found, present=_better(found.book, found.present, brought))
    goal = _goal(better, upgrade_only=True)
    _write(session, _planned(found, goal, event.at), TierCause.MERGE, None, touched=True)


def account_split(session: Session, event: AccountSplit) -> None:
    """The card that leaves keeps the tier of the moment; its turnover begins anew."""
    shared = session.get(AccountTier, event.account_id, populate_existing=True)
    if shared is None or shared.tier is None:
        return
    programme = session.get_one(Programme, event.programme_id)
    today = _today(programme, event.at)
    session.add(
        AccountTier(
            account_id=event.new_id,
            programme_id=event.programme_id,
            tier=shared.tier,
            base_on=today,
            since=shared.since,
            checked_on=today,
        )
    )
    session.add(
        TierChange(account_id=event.new_id, to_tier=shared.tier, at=event.at, cause=TierCause.LEAVE)
    )
    session.flush()


@dataclass(frozen=True, slots=True)
class Seen:
    """What the caller has read since it has the account's lock: what is stored, the base as it is
    by now, and which version (public id) of the rules was published."""

    stored: StoredTier | None
    base: int
    published: str | None


@dataclass(frozen=True)
class _Standing:
    """What is stored of an account and what is true now; `present` is the tier it counts as."""

    account_id: int
    programme_id: int
    book: RuleBook
    today: date
    present: str | None
    stored_base: int
    base: int


@dataclass(frozen=True, slots=True)
class Planned:
    """The tier and base that an account is to have."""

    found: _Standing
    goal: str | None
    now: datetime


def _standing(
    session: Session,
    account_id: int,
    programme: Programme,
    version: RuleVersion | None,
    now: datetime,
    seen: Seen | None = None,
) -> _Standing | None:
    version = version or current(session, programme.id)
    today = _today(programme, now)
    while version is not None:
        book = book_of(version)
        seen = seen or _look(session, account_id, programme.id, book, today)
        if seen.published == version.public_id:
            stored = seen.stored
            present = _first(book) if stored is None else stored.tier
            return _Standing(
                account_id,
                programme.id,
                book,
                today,
                present,
                0 if stored is None else stored.base,
                seen.base,
            )
        version, seen = current(session, programme.id), None
    return None


def _look(
    session: Session, account_id: int, programme_id: int, book: RuleBook, today: date
) -> Seen:
    values = {"account_id": account_id, "programme_id": programme_id}
    row = _FACTS.first(session, base_values(book, today) | values)
    stored = StoredTier(row.tier, row.stored_base) if row.known else None
    return Seen(stored, row.base, row.published)


def _goal(found: _Standing, upgrade_only: bool) -> str | None:
    if upgrade_only:
        tier = rules.reached(found.book, found.base, found.present)
    else:
        tier = rules.tier_for(found.book, found.base)
    return tier.code if tier else None


def _planned(found: _Standing, goal: str | None, now: datetime) -> Planned | None:
    if goal == found.present and found.base == found.stored_base:
        return None
    return Planned(found, goal, now)


def _write(
    session: Session,
    planned: Planned | None,
    cause: TierCause,
    purchase_id: int | None,
    touched: bool,
) -> TierChange | None:
    if planned is None:
        return None
    store(session, planned)
    if not touched:
        touch(session, "account", [planned.found.account_id], at=planned.now)
    return follow(session, planned, cause, purchase_id)


def store(session: Session, planned: Planned) -> None:
    """Write the account's row as planned."""
    found = planned.found
    values = {
        "account_id": found.account_id,
        "programme_id": found.programme_id,
        "tier": planned.goal,
        "base": found.base,
        "today": found.today,
        "now": planned.now,
    }
    _STORE.ask(session, values)


def follow(
    session: Session, planned: Planned, cause: TierCause, purchase_id: int | None
) -> TierChange | None:
    """Note and tell the move of an account whose row was written; None when it stays."""
    found, now = planned.found, planned.now
    if planned.goal == found.present:
        return None
    change = TierChange(
        account_id=found.account_id,
        from_tier=found.present,
        to_tier=planned.goal,
        at=now,
        cause=cause,
        purchase_id=purchase_id,
    )
    session.add(change)
    session.flush()
    told = TierChanged(
        at=now,
        account_id=found.account_id,
        programme_id=found.programme_id,
        before=found.present,
        after=planned.goal,
        cause=cause.value,
        purchase_id=purchase_id,
    )
    emit(session, told)
    return change


def _better(book: RuleBook, one: str | None, other: str | None) -> str | None:
    tiers = [tier for tier in (rules.find(book, one), rules.find(book, other)) if tier]
    return max(tiers, key=lambda tier: tier.threshold).code if tiers else one


def _first(book: RuleBook) -> str | None:
    return book.tiers[0].code if book.tiers else None


def _today(programme: Programme, now: datetime) -> date:
    return now.astimezone(ZoneInfo(programme.time_zone)).date()
