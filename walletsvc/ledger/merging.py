"""Value that changes its account: all of it (merge), or an agreed part (transfer).

Points take their lots with them, dates unchanged: who joins or leaves gains and loses no day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm.util import identity_key
from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict, Refused
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.jobs.changes import Lane, touch
from walletsvc.ledger import rules
from walletsvc.ledger.accounts import LockedAccount
from walletsvc.ledger.checks import check
from walletsvc.ledger.lots import open_lots
from walletsvc.ledger.models import Account, Transaction, TransactionType
from walletsvc.ledger.posting import Leg, NewLot, Posting, post
from walletsvc.ledger.settling import lock_settled
from walletsvc.ledger.spending import take_from_lots

# Spent lots too: a reversal must find them where the value is. Said in two halves, each of which
# has an index.
_MOVE_LOTS: Final = text("""
UPDATE lots SET account_id = :target_id
 WHERE account_id = :source_id AND (remaining > 0 OR remaining = 0)
""")
_CLOSE: Final = text(
    "UPDATE accounts SET closed_at = :now, merged_into_id = :target_id WHERE id = :source_id"
)
_PARTS: Final = text("""
SELECT id, source, promotional, earned_at, available_from, expires_at
  FROM lots WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY expires_at, id
""")


def merge(
    session: Session,
    source_id: int,
    target_id: int,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    branch_id: int | None = None,
    card_id: int | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> Transaction | None:
    """Make one account part of another, which stands in for it from now on.

    Everything of `source` becomes `target`'s: the balance, every lot with its dates (those to
    come and those spent, so that later reversals act on `target`) and the debt, which the other's
    lots repay. `source` is closed for good. Returns None when its balance was nothing: then no
    value moved. Raises InputError, NotFound, Conflict (closed; value of either is held) and
    Refused (not of one kind, unit and organisation; the sum would pass a limit of `target`).
    """
    check(1, reason)
    source, target = _pair(session, source_id, target_id, now, lane)
    if source.standing.held or target.standing.held:
        raise Conflict("A part of the balance is reserved: capture or release the hold first.")
    moved = source.standing.balance
    together = target.standing.balance + moved
    if together > MAX_AMOUNT:
        raise Refused("The balance would be larger than an account can hold.")
    if together < target.standing.min_balance:
        raise Refused("Together the accounts would owe more than is allowed.")
    session.execute(_MOVE_LOTS, {"source_id": source.id, "target_id": target.id})
    transaction = None
    if moved:
        posting = Posting(
            organisation_id=source.organisation_id,
            type=TransactionType.MERGE,
            actor=actor,
            reason=reason,
            at=now,
            legs=[Leg(source.id, source.unit_id, -moved, 0), _into(target, moved)],
            moves=_repay(session, source, target, now),
            branch_id=branch_id,
            card_id=card_id,
        )
        transaction = post(session, posting, lane=lane)
    else:
        touch(session, "account", [source.id, target.id], at=now, lane=lane)
    _close(session, source, target, now)
    return transaction


def transfer(
    session: Session,
    source_id: int,
    target_id: int,
    amount: int,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    branch_id: int | None = None,
    card_id: int | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> Transaction:
    """Move `amount` minor units to another account, as they are.

    Points are taken as if spent, earliest-expiring first, and each part becomes a lot of
    `target` with the dates and the source of the one it was part of; a debt of `target` is repaid
    first. Never takes what is held, has ended, or is not there. Raises InputError, NotFound,
    Conflict (closed), Refused (not of one kind, unit and organisation; `target` would be too
    full) and InsufficientFunds, whose data holds `available`.
    """
    check(amount, reason)
    source, target = _pair(session, source_id, target_id, now, lane)
    if target.standing.balance + amount > MAX_AMOUNT:
        raise Refused("The balance would be larger than an account can hold.")
    without_debt = replace(source, standing=replace(source.standing, min_balance=0))
    moves = take_from_lots(session, without_debt, amount, now)
    posting = Posting(
        organisation_id=source.organisation_id,
        type=TransactionType.TRANSFER,
        actor=actor,
        reason=reason,
        at=now,
        legs=[
            Leg(source.id, source.unit_id, -amount, source.standing.balance - amount),
            _into(target, amount),
        ],
        moves=moves,
        new_lots=_parts(session, moves, target),
        branch_id=branch_id,
        card_id=card_id,
    )
    return post(session, posting, lane=lane)


def _pair(
    session: Session, source_id: int, target_id: int, now: datetime, lane: Lane
) -> tuple[LockedAccount, LockedAccount]:
    """Both accounts, locked and up to date; raises Refused when their values do not mix."""
    if source_id == target_id:
        raise Refused("These are the same account.")
    locked = lock_settled(session, [source_id, target_id], now=now, lane=lane)
    source, target = locked[source_id], locked[target_id]
    if (source.kind, source.unit_id, source.organisation_id) != (
        target.kind,
        target.unit_id,
        target.organisation_id,
    ):
        raise Refused("Only accounts of one kind, one unit and one organisation can be combined.")
    return source, target


def _close(session: Session, source: LockedAccount, target: LockedAccount, now: datetime) -> None:
    """End an account that is empty by now; `target` stands for it."""
    session.execute(_CLOSE, {"source_id": source.id, "target_id": target.id, "now": now})
    loaded = session.identity_map.get(identity_key(Account, source.id))
    if loaded is not None:
        session.expire(loaded)


def _into(target: LockedAccount, amount: int) -> Leg:
    return Leg(target.id, target.unit_id, amount, target.standing.balance + amount)


def _repay(
    session: Session, source: LockedAccount, target: LockedAccount, now: datetime
) -> dict[int, int]:
    """What one account's lots, all of them `target`'s by now, pay of the other's debt.

    Lots that can still be spent pay first. What has ended and was not written off yet pays the
    rest, for it is in the balance that the debt makes smaller.
    """
    if not source.has_lots:
        return {}
    one, other = source.standing.balance, target.standing.balance
    excess = max(one, 0) + max(other, 0) - max(one + other, 0)
    if not excess:
        return {}
    lots = open_lots(session, target.id)
    ended = [lot for lot in lots if lot.expired(now)]
    moves = rules.take([*rules.spendable(lots, now), *ended], excess)
    if -sum(moves.values()) != excess:
        raise AssertionError("the accounts' lots do not cover what their balances do")
    return moves


def _parts(session: Session, moves: Mapping[int, int], target: LockedAccount) -> list[NewLot]:
    """The lots that these movements make on `target`."""
    debt = target.standing.debt
    parts = []
    for row in session.execute(_PARTS, {"ids": list(moves)}) if moves else ():
        amount = -moves[row.id]
        repaid = min(debt, amount)
        debt -= repaid
        parts.append(
            NewLot(
                target.id,
                amount,
                amount - repaid,
                row.source,
                row.promotional,
                row.expires_at,
                row.earned_at,
                row.available_from,
                origin_id=row.id,
            )
        )
    return parts
