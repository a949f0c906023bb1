"""Reserving value for a while: before a payment is certain, and until it is.

A till holds, takes its payment, and captures or voids. One that dies holds nothing for longer
than it asked for: from `expires_at` on the hold is over for every verb, whether or not a job
has noted it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key
from sqlmodel import Session, col, select

from walletsvc.core.actor import Actor
from walletsvc.core.errors import HoldClosed, InsufficientFunds, NotFound, Refused, wrong
from walletsvc.core.ids import public_id
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import rules
from walletsvc.ledger.accounts import LockedAccount
from walletsvc.ledger.checks import check
from walletsvc.ledger.clearing import counter_legs
from walletsvc.ledger.lots import open_lots
from walletsvc.ledger.models import (
    Account,
    Hold,
    HoldState,
    SystemCode,
    Transaction,
    TransactionType,
)
from walletsvc.ledger.posting import Leg, Posting, post
from walletsvc.ledger.rules import Claim
from walletsvc.ledger.settling import lock_settled

SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(hours=24)

# One statement, as with postings: no place to crash in between the hold and what it reserves.
_RESERVE: Final = text("""
WITH reserved AS (
    INSERT INTO holds (public_id, account_id, state, amount, captured, acceptor_id, branch_id,
                       card_id, actor, reason, created_at, expires_at)
    VALUES (:public_id, :account_id, 'active', :amount, 0, :acceptor_id,
            CAST(:branch_id AS bigint), CAST(:card_id AS bigint), :actor, :reason, :now,
            :expires_at)
    RETURNING id
), part AS (
    SELECT * FROM unnest(CAST(:lot_ids AS bigint[]), CAST(:lot_amounts AS bigint[]))
        AS part (lot_id, amount)
), listed AS (
    INSERT INTO hold_lots (hold_id, lot_id, amount)
    SELECT reserved.id, lot_id, amount FROM reserved, part
), lots_held AS (
    UPDATE lots SET held = held + part.amount FROM part WHERE lots.id = part.lot_id
), account AS (
    UPDATE accounts SET held = held + :amount WHERE id = :account_id
)
SELECT id FROM reserved
""")
_VOID: Final = text("""
WITH ended AS (
    UPDATE holds SET state = 'voided', closed_at = :now WHERE id = :hold_id
    RETURNING id, amount
), lots_freed AS (
    UPDATE lots SET held = held - hl.amount
      FROM hold_lots hl JOIN ended ON ended.id = hl.hold_id WHERE lots.id = hl.lot_id
)
UPDATE accounts SET held = held - ended.amount FROM ended WHERE accounts.id = :account_id
""")
# In the order in which lots are spent.
_LOTS_OF: Final = text("""
SELECT l.id, hl.amount FROM hold_lots hl JOIN lots l ON l.id = hl.lot_id
 WHERE hl.hold_id = :hold_id ORDER BY l.expires_at, l.id
""")


def hold(
    session: Session,
    account_id: int,
    amount: int,
    *,
    acceptor_id: int,
    actor: Actor,
    reason: str,
    now: datetime,
    expires_at: datetime,
    branch_id: int | None = None,
    card_id: int | None = None,
) -> Hold:
    """Reserve `amount` minor units of a holder's value for `acceptor_id` until `expires_at`.

    Lots that end soonest are reserved first, and do not end while they are. A hold never
    reaches into debt. Raises InputError (also for a time outside SHORTEST to LONGEST), NotFound,
    Conflict (closed account) and InsufficientFunds, whose data holds `available`: the most that
    could have been reserved.
    """
    check(amount, reason)
    if not SHORTEST <= expires_at - now <= LONGEST:
        raise wrong("expires_at", "must be 1 minute to 24 hours from now")
    account = lock_settled(session, [account_id], now=now)[account_id]
    lots = open_lots(session, account.id) if account.has_lots else []
    payers = rules.spendable(lots, now)
    available = rules.holdable(account.standing, payers if account.has_lots else None)
    if amount > available:
        raise InsufficientFunds("There is not enough on the account.", available=available)
    reserved = {lot_id: -part for lot_id, part in rules.take(payers, amount).items()}
    values = {
        "public_id": public_id(),
        "account_id": account.id,
        "amount": amount,
        "acceptor_id": acceptor_id,
        "branch_id": branch_id,
        "card_id": card_id,
        "actor": str(actor),
        "reason": reason,
        "now": now,
        "expires_at": expires_at,
        "lot_ids": list(reserved),
        "lot_amounts": list(reserved.values()),
    }
    made = session.execute(_RESERVE, values).scalar_one()
    _show_held(session, account, account.standing.held + amount)
    return session.get_one(Hold, made)


def capture(
    session: Session,
    hold_id: int,
    amount: int | None = None,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    branch_id: int | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> Transaction:
    """Take what was held, or `amount` minor units of it; the rest is free again.

    It goes to the organisation that reserved it, from the hold's own lots, those that end
    soonest first, even if their end has come meanwhile. A hold is captured once. `branch_id`
    is where, that of the hold when None. Raises InputError, NotFound, HoldClosed (`state`),
    Refused (less than that is held, which its data names as `held`) and Conflict.
    """
    check(1 if amount is None else amount, reason)
    account, found = _lock(session, hold_id, now, lane)
    _require_active(found, now)
    taken = found.amount if amount is None else amount
    if taken > found.amount:
        raise Refused("Less than that is held.", held=found.amount)
    lots = _lots_of(session, found)
    counter = counter_legs(session, account, -taken, SystemCode.REDEMPTION, found.acceptor_id, now)
    balance = account.standing.balance - taken
    posting = Posting(
        organisation_id=account.organisation_id,
        type=TransactionType.CAPTURE,
        actor=actor,
        reason=reason,
        at=now,
        legs=[Leg(account.id, account.unit_id, -taken, balance, freed=found.amount), *counter],
        moves={lot_id: -part for lot_id, part in rules.give_back(lots, taken).items()},
        freed=dict(lots),
        branch_id=found.branch_id if branch_id is None else branch_id,
        card_id=found.card_id,
    )
    transaction = post(session, posting, lane=lane)
    found.state = HoldState.CAPTURED
    found.captured = taken
    found.closed_at = now
    found.transaction_id = transaction.id
    session.flush()
    return transaction


def void(session: Session, hold_id: int, *, now: datetime) -> Hold:
    """Release what was held, and return the hold; one that was voided before stays as it is.

    Raises NotFound, HoldClosed (it was captured or ran out; `state` says which) and Conflict.
    """
    account, found = _lock(session, hold_id, now)
    if found.state is not HoldState.VOIDED:
        _require_active(found, now)
        values = {"hold_id": found.id, "account_id": account.id, "now": now}
        session.execute(_VOID, values)
        _show_held(session, account, account.standing.held - found.amount)
        session.refresh(found)
    return found


def state_at(hold: Hold, now: datetime) -> HoldState:
    """What a hold is at this moment: one whose time is over has expired, noted or not."""
    if hold.state is HoldState.ACTIVE and hold.expires_at <= now:
        return HoldState.EXPIRED
    return hold.state


def _lock(
    session: Session, hold_id: int, now: datetime, lane: Lane = Lane.INTERACTIVE
) -> tuple[LockedAccount, Hold]:
    """The hold's account, locked, and then the hold: only under the lock is it as it will stay."""
    account_id = session.exec(select(Hold.account_id).where(col(Hold.id) == hold_id)).first()
    if account_id is None:
        raise NotFound("There is no such hold.")
    account = lock_settled(
        session, [account_id], now=now, against=SystemCode.REDEMPTION, lane=lane
    )[account_id]
    return account, session.get_one(Hold, hold_id, populate_existing=True)


def _require_active(found: Hold, now: datetime) -> None:
    state = state_at(found, now)
    if state is not HoldState.ACTIVE:
        raise HoldClosed(f"The hold is {state}.", state=state.value)


def _lots_of(session: Session, found: Hold) -> list[Claim]:
    rows = session.execute(_LOTS_OF, {"hold_id": found.id})
    return [(row.id, row.amount) for row in rows]


def _show_held(session: Session, account: LockedAccount, held: int) -> None:
    """An Account that the caller has loaded shows what was just written."""
    loaded = session.identity_map.get(identity_key(Account, account.id))
    if loaded is not None:
        set_committed_value(loaded, "held", held)
