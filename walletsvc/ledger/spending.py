"""Taking value: at once, or which lots would pay."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.errors import InsufficientFunds
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import rules
from walletsvc.ledger.accounts import LockedAccount
from walletsvc.ledger.checks import check
from walletsvc.ledger.clearing import counter_legs
from walletsvc.ledger.lots import open_lots
from walletsvc.ledger.models import SystemCode, Transaction, TransactionType
from walletsvc.ledger.posting import Leg, Posting, post
from walletsvc.ledger.settling import lock_settled


def debit(
    session: Session,
    account_id: int,
    amount: int,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    against: SystemCode = SystemCode.REDEMPTION,
    acceptor_id: int | None = None,
    branch_id: int | None = None,
    card_id: int | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> Transaction:
    """Take `amount` minor units from a holder, from the lots that end soonest first.

    `acceptor_id` is the organisation that takes them, when it is not the one that issued them.
    Raises InputError, NotFound, Conflict (closed account) and InsufficientFunds, whose data
    holds `available`: the most that could have been taken.
    """
    check(amount, reason)
    account = lock_settled(session, [account_id], now=now, against=against, lane=lane)[account_id]
    posting = Posting(
        organisation_id=account.organisation_id,
        type=TransactionType.DEBIT,
        actor=actor,
        reason=reason,
        at=now,
        moves=take_from_lots(session, account, amount, now),
        legs=[
            Leg(account.id, account.unit_id, -amount, account.standing.balance - amount),
            *counter_legs(session, account, -amount, against, acceptor_id, now),
        ],
        branch_id=branch_id,
        card_id=card_id,
    )
    return post(session, posting, lane=lane)


def take_from_lots(
    session: Session,
    account: LockedAccount,
    amount: int,
    now: datetime,
    *,
    credit_id: int | None = None,
) -> dict[int, int]:
    """Which lots pay `amount`; InsufficientFunds when the account may not fall that low."""
    lots = open_lots(session, account.id) if account.has_lots else []
    payers = rules.spendable(lots, now, first=credit_id)
    available = rules.available(account.standing, lots, payers)
    if amount > available:
        raise InsufficientFunds("There is not enough on the account.", available=available)
    return rules.take(payers, amount)
