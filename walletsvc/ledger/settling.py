"""What time has brought: holds that ran out are released, lots that are due join the balance.

A job does this for everybody by and by; here it is done under an account's lock before anything
else happens to it, so that no answer depends on when the job last ran.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.actor import SYSTEM
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import rules
from walletsvc.ledger.accounts import LockedAccount, lock, system_account
from walletsvc.ledger.models import SystemCode, TransactionType
from walletsvc.ledger.posting import Leg, Posting, post

# All that ran out at once: several holds may hold parts of one lot.
_RELEASE: Final = text("""
WITH ended AS (
    UPDATE holds SET state = 'expired', closed_at = :now
     WHERE account_id = :account_id AND state = 'active' AND expires_at <= :now
    RETURNING id, amount
), freed AS (
    SELECT hl.lot_id, sum(hl.amount) AS amount
      FROM hold_lots hl JOIN ended ON ended.id = hl.hold_id GROUP BY hl.lot_id
), lots_freed AS (
    UPDATE lots SET held = held - freed.amount FROM freed WHERE lots.id = freed.lot_id
), total AS (
    SELECT coalesce(sum(amount), 0)::bigint AS amount FROM ended
), account AS (
    UPDATE accounts SET held = held - total.amount
      FROM total WHERE accounts.id = :account_id AND total.amount > 0
)
SELECT amount FROM total
""")
# Each repays the debt in the order of its day, as if a job had never been late.
_DUE_LOTS: Final = text("""
SELECT id, remaining FROM lots
 WHERE account_id = :account_id AND matured_id IS NULL AND remaining > 0 AND available_from <= :now
 ORDER BY available_from, expires_at, id
""")


def lock_settled(
    session: Session,
    account_ids: Iterable[int],
    *,
    now: datetime,
    against: SystemCode | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> dict[int, LockedAccount]:
    """Lock accounts as `accounts.lock` does and bring them up to `now`."""
    locked = lock(session, account_ids, now=now, against=against)
    return {asked: settle(session, account, now, lane) for asked, account in locked.items()}


def settle(
    session: Session, account: LockedAccount, now: datetime, lane: Lane = Lane.INTERACTIVE
) -> LockedAccount:
    """Bring an account that was locked at `now` up to it; itself when nothing is due."""
    return _settle(session, account, now, lane) if account.due else account


def _settle(session: Session, account: LockedAccount, now: datetime, lane: Lane) -> LockedAccount:
    parameters = {"account_id": account.id, "now": now}
    freed = session.execute(_RELEASE, parameters).scalar_one()
    standing = replace(account.standing, held=account.standing.held - freed)
    lots = [(row.id, row.remaining) for row in session.execute(_DUE_LOTS, parameters)]
    if lots:
        total = sum(remaining for _, remaining in lots)
        _mature(session, replace(account, standing=standing), lots, now, lane)
        standing = replace(standing, balance=standing.balance + total)
    return replace(account, standing=standing, due=False)


def _mature(
    session: Session,
    account: LockedAccount,
    lots: list[tuple[int, int]],
    now: datetime,
    lane: Lane,
) -> None:
    total = sum(remaining for _, remaining in lots)
    pending = system_account(
        session,
        organisation_id=account.organisation_id,
        unit_id=account.unit_id,
        code=SystemCode.PENDING,
        now=now,
    )
    repaid = rules.give_back(lots, min(account.standing.debt, total))
    posting = Posting(
        organisation_id=account.organisation_id,
        type=TransactionType.MATURITY,
        actor=SYSTEM,
        reason="",
        at=now,
        legs=[
            Leg(account.id, account.unit_id, total, account.standing.balance + total),
            Leg(pending, account.unit_id, -total),
        ],
        moves={lot_id: -part for lot_id, part in repaid.items()},
        matured=[lot_id for lot_id, _ in lots],
    )
    post(session, posting, lane=lane)
