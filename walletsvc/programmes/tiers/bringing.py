"""Turnover and tiers that accounts had before their organisation kept its cards here.

Whoever calls holds the locks of the accounts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import insert, text
from sqlmodel import Session, col, select

from walletsvc.programmes import versions
from walletsvc.programmes.models import Programme
from walletsvc.programmes.tiers.many import settle_many
from walletsvc.programmes.tiers.models import AccountTier, BroughtTurnover, TierCause
from walletsvc.programmes.tiers.service import add_turnover, withdraw

_COUNT: Final = text("""
INSERT INTO turnover (account_id, organisation_id, day, amount)
SELECT account_id, organisation_id, day, sum(amount) FROM brought_turnover
 WHERE id = ANY(CAST(:ids AS bigint[])) GROUP BY 1, 2, 3
ON CONFLICT (account_id, organisation_id, day)
DO UPDATE SET amount = turnover.amount + excluded.amount
""")
_FORGET: Final = (
    text("DELETE FROM turnover WHERE account_id = ANY(CAST(:ids AS bigint[]))"),
    text("DELETE FROM brought_turnover WHERE account_id = ANY(CAST(:ids AS bigint[]))"),
    text("DELETE FROM tier_changes WHERE account_id = ANY(CAST(:ids AS bigint[]))"),
    text("DELETE FROM account_tiers WHERE account_id = ANY(CAST(:ids AS bigint[]))"),
)


@dataclass(frozen=True, slots=True)
class Brought:
    """What one row of a list says of an account: bought for so much, in that tier."""

    account_id: int
    turnover: int = 0
    tier: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What was written of it: the turnover's id, and the tier that the account had before."""

    brought_id: int | None
    tier_before: str | None


def bring(
    session: Session, programme: Programme, brought: Sequence[Brought], day: date, now: datetime
) -> list[Kept]:
    """Count the turnover on that local day and put the accounts in the tiers it reaches, or in
    those that the list names if these are higher. Nobody moves down."""
    ids = sorted({each.account_id for each in brought})
    before = {row.account_id: row.tier for row in _rows(session, ids)}
    with_turnover = [each for each in brought if each.turnover]
    made = []
    if with_turnover:
        rows = [
            {
                "account_id": each.account_id,
                "organisation_id": programme.organisation_id,
                "day": day,
                "amount": each.turnover,
            }
            for each in with_turnover
        ]
        made = list(
            session.execute(
                insert(BroughtTurnover).returning(
                    col(BroughtTurnover.id),
                    sort_by_parameter_order=True,
                ),
                rows,
            ).scalars()
        )
        session.execute(_COUNT, {"ids": made})
    version = versions.current(session, programme.id)
    if version is not None and ids:
        floors = {each.account_id: each.tier for each in brought if each.tier}
        settle_many(
            session, programme, versions.book_of(version), ids, now, TierCause.IMPORT,
            at_least=floors,
        )  # fmt: skip
    own = iter(made)
    return [
        Kept(next(own) if each.turnover else None, before.get(each.account_id)) for each in brought
    ]


def forget(session: Session, account_ids: Collection[int]) -> None:
    """These accounts never bought anything but what was brought: all of it goes."""
    for statement in _FORGET:
        session.execute(statement, {"ids": sorted(account_ids)})


def take_back(
    session: Session, programme: Programme, kept: Kept, account_id: int, now: datetime
) -> None:
    """What was brought onto an account counts no more, and a tier that only it reached ends."""
    if kept.brought_id is not None:
        row = session.get_one(BroughtTurnover, kept.brought_id)
        add_turnover(session, account_id, row.organisation_id, row.day, -row.amount)
        session.delete(row)
        session.flush()
    withdraw(
        session, account_id, programme, now, kept.tier_before, purchase_id=None,
        cause=TierCause.IMPORT,
    )  # fmt: skip


def _rows(session: Session, ids: Sequence[int]) -> Sequence[AccountTier]:
    return session.exec(select(AccountTier).where(col(AccountTier.account_id).in_(ids))).all()
