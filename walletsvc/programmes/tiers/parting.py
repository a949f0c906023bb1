"""Turnover and tier when a merger of two accounts is taken back.

Whoever calls holds the locks of the accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session, col, select

from walletsvc.programmes.models import Programme
from walletsvc.programmes.tiers import service
from walletsvc.programmes.tiers.models import AccountTier, TierCause, Turnover

_TAKE: Final = text("""
UPDATE turnover SET amount = amount - :amount
 WHERE account_id = :account_id AND organisation_id = :organisation_id AND day = :day
RETURNING amount
""")
_NOTHING_LEFT: Final = text("DELETE FROM turnover WHERE account_id = :account_id AND amount = 0")


@dataclass(frozen=True, slots=True)
class Before:
    """What an account had bought (organisation, day, amount), and how it stood, before a merger."""

    turnover: list[list[Any]]
    tier: dict[str, Any] | None


def before(session: Session, account_id: int) -> Before:
    """What is lost when this account becomes part of another, as JSON can hold it."""
    rows = session.exec(
        select(Turnover)
        .where(Turnover.account_id == account_id)
        .order_by(col(Turnover.organisation_id), col(Turnover.day))
    )
    stored = session.get(AccountTier, account_id, populate_existing=True)
    tier = None if stored is None else {
        "tier": stored.tier,
        "base": stored.base,
        "base_on": stored.base_on.isoformat(),
        "since": stored.since.isoformat(),
        "checked_on": stored.checked_on.isoformat(),
    }  # fmt: skip
    return Before([[row.organisation_id, row.day.isoformat(), row.amount] for row in rows], tier)


def restore(
    session: Session,
    programme: Programme,
    account_id: int,
    former_id: int,
    turnover: Sequence[Sequence[Any]],
    tier: dict[str, Any] | None,
    fair: str | None,
    now: datetime,
) -> None:
    """Give `former_id` its turnover and its tier back.

    `fair` is the tier that the other account would have without the merger; what its own turnover
    reaches by itself stays.
    """
    for organisation_id, day, amount in turnover:
        values = {"organisation_id": organisation_id, "day": day, "amount": amount}
        session.execute(_TAKE, values | {"account_id": account_id})
        service.add_turnover(session, former_id, organisation_id, date.fromisoformat(day), amount)
    session.execute(_NOTHING_LEFT, {"account_id": account_id})
    if tier is not None:
        session.add(
            AccountTier(
                account_id=former_id,
                programme_id=programme.id,
                tier=tier["tier"],
                base=tier["base"],
                base_on=date.fromisoformat(tier["base_on"]),
                since=datetime.fromisoformat(tier["since"]),
                checked_on=date.fromisoformat(tier["checked_on"]),
            )
        )
        session.flush()
    service.withdraw(
        session, account_id, programme, now, fair, purchase_id=None, cause=TierCause.LEAVE
    )
    service.reconsider(session, account_id, programme, now, TierCause.LEAVE)
