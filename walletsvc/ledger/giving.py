"""Giving value to one holder, to spend at once or from a later day on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.errors import Refused, wrong
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.jobs.changes import Lane
from walletsvc.ledger.accounts import LockedAccount, system_account
from walletsvc.ledger.checks import check
from walletsvc.ledger.clearing import counter_legs
from walletsvc.ledger.models import SystemCode, Transaction, TransactionType
from walletsvc.ledger.posting import Leg, NewLot, Posting, post
from walletsvc.ledger.settling import lock_settled


def credit(
    session: Session,
    account_id: int,
    amount: int,
    *,
    source: str,
    actor: Actor,
    reason: str,
    now: datetime,
    against: SystemCode = SystemCode.ISSUANCE,
    acceptor_id: int | None = None,
    branch_id: int | None = None,
    card_id: int | None = None,
    available_from: datetime | None = None,
    expires_at: datetime | None = None,
    promotional: bool = False,
    lane: Lane = Lane.INTERACTIVE,
) -> Transaction:
    """Give a holder `amount` minor units, to spend from `available_from` on (None: at once).

    Points become a lot with its `source` and dates; a debt is repaid from it when it becomes
    available. `against` is where certificate money comes from: CASH_CLEARING when paid,
    ISSUANCE when given. `acceptor_id` is the organisation that gives another's points. Raises
    InputError, NotFound, Conflict (closed account), Refused (it would pass MAX_AMOUNT).
    """
    check(amount, reason, source)
    starts = _starts(available_from, expires_at, now)
    account = lock_settled(session, [account_id], now=now, against=against, lane=lane)[account_id]
    if not account.has_lots and (expires_at is not None or starts > now):
        field = "available_from" if expires_at is None else "expires_at"
        raise wrong(field, "is for points: certificate money has no dates of its own")
    if account.standing.balance + amount > MAX_AMOUNT:
        raise Refused("The balance would be larger than an account can hold.")
    lot = NewLot(account.id, amount, amount, source, promotional, expires_at, now, starts)
    posting = Posting(
        organisation_id=account.organisation_id,
        type=TransactionType.ACCRUAL if starts > now else TransactionType.CREDIT,
        actor=actor,
        reason=reason,
        at=now,
        legs=[
            _promised(session, account, amount, now) if starts > now else _given(account, amount),
            *counter_legs(session, account, amount, against, acceptor_id, now),
        ],
        new_lots=[_as_it_comes(lot, account, now)] if account.has_lots else [],
        branch_id=branch_id,
        card_id=card_id,
        also_touched=(account.id,),
    )
    return post(session, posting, lane=lane)


def _starts(
    available_from: datetime | None, expires_at: datetime | None, now: datetime
) -> datetime:
    starts = now if available_from is None else max(available_from, now)
    if expires_at is not None and expires_at <= starts:
        raise wrong("expires_at", "must be later than now and available_from")
    return starts


def _as_it_comes(lot: NewLot, account: LockedAccount, now: datetime) -> NewLot:
    """A lot for later is whole; one for now repays the debt first."""
    if lot.available_from is not None and lot.available_from > now:
        return replace(lot, matured=False)
    return replace(lot, remaining=lot.original - min(account.standing.debt, lot.original))


def _given(account: LockedAccount, amount: int) -> Leg:
    return Leg(account.id, account.unit_id, amount, account.standing.balance + amount)


def _promised(session: Session, account: LockedAccount, amount: int, now: datetime) -> Leg:
    """The entry of what is not the holder's yet."""
    pending = system_account(
        session,
        organisation_id=account.organisation_id,
        unit_id=account.unit_id,
        code=SystemCode.PENDING,
        now=now,
    )
    return Leg(pending, account.unit_id, amount)
