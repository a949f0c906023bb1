"""Reading tiers: the base that decides, and where an account stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlmodel import Session, col, select

from walletsvc.programmes.rulebook import tiers as rules
from walletsvc.programmes.rulebook.schemas import RuleBook, Tier
from walletsvc.programmes.tiers.models import AccountTier, TierChange
from walletsvc.programmes.versions import book_of, current

# The tier base of an account as an expression; its parameters are `base_values`.
_SUM: Final = """(
SELECT coalesce(sum(b.amount), 0)::bigint FROM turnover b
 WHERE b.account_id = <account> AND b.day <= :today
   AND (CAST(:since AS date) IS NULL OR b.day >= CAST(:since AS date))
   AND (CAST(:organisations AS text[]) IS NULL OR b.organisation_id IN (
     SELECT id FROM organisations WHERE slug = ANY(CAST(:organisations AS text[])))))
"""


def with_base(statement: str, account: str) -> str:
    """The statement with the tier base of `account` in place of `<base>`."""
    return statement.replace("<base>", _SUM.replace("<account>", account))


_BASE: Final = text(with_base("SELECT <base>", ":account_id"))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands under a rule book; amounts in minor units of money.

    `tier` is None when the book has no tiers, `next` and `missing` at the top.
    """

    tier: Tier | None
    base: int
    next: Tier | None
    missing: int | None


class StoredTier(NamedTuple):
    """What is written down of an account: its tier, and the base that it had then."""

    tier: str | None
    base: int


def tier_base(session: Session, account_id: int, book: RuleBook, today: date) -> int:
    """What the account's purchases come to, as far as they count for tiers under this book.

    `today` is local to the programme. Never below what was bought, never what a balance says.
    """
    values = base_values(book, today) | {"account_id": account_id}
    base: int = session.execute(_BASE, values).scalar_one()
    return base


def base_values(book: RuleBook, today: date) -> dict[str, Any]:
    """The parameters of `with_base` under this book."""
    chosen = book.tier_base.organisations
    return {
        "today": today,
        "since": rules.counts_since(book, today),
        "organisations": None if chosen is None else list(chosen),
    }


def standing_in(book: RuleBook, stored: str | None, base: int) -> Standing:
    """Where an account with this stored tier and base stands; pure.

    A stored tier that the book does not have counts as the one that the base reaches.
    """
    tier = rules.find(book, stored) or rules.tier_for(book, base)
    above = [each for each in book.tiers if tier and each.threshold > max(tier.threshold, base)]
    if not above:
        return Standing(tier, base, None, None)
    return Standing(tier, base, above[0], above[0].threshold - base)


def standing(session: Session, programme_id: int, account_id: int) -> Standing | None:
    """Where the account stands under the published rules; None when nothing is published."""
    version = current(session, programme_id)
    if version is None:
        return None
    row = session.get(AccountTier, account_id, populate_existing=True)
    stored, base = (row.tier, row.base) if row else (None, 0)
    return standing_in(book_of(version), stored, base)


def changes(session: Session, account_id: int, limit: int = 50) -> Sequence[TierChange]:
    """The account's changes of tier, the newest first."""
    wanted = select(TierChange).where(TierChange.account_id == account_id)
    return session.exec(wanted.order_by(col(TierChange.id).desc()).limit(limit)).all()
