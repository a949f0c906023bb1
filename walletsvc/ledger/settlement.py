"""One organisation pays another what it owes it; money itself moves at the bank."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.errors import AlreadyReversed, NotFound, Refused, wrong
from walletsvc.jobs.changes import Lane
from walletsvc.ledger.accounts import between, system_account
from walletsvc.ledger.checks import check
from walletsvc.ledger.models import SystemCode, Transaction, TransactionType
from walletsvc.ledger.posting import Leg, Posting, post

# Accounts between organisations are never locked, so that tills do not wait for each other.
# Payments do: whoever pays a pair's debt in a unit reads what is owed alone.
_LOCK: Final = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('walletsvc settlement ' || :pair, 0))"
)
# What was counted by the day, and what was written since.
_OWED: Final = text("""
SELECT coalesce(sum(part.amount), 0)::bigint
  FROM accounts a
  CROSS JOIN LATERAL (
    SELECT sum(d.amount) AS amount FROM clearing_days d WHERE d.account_id = a.id
     UNION ALL
    SELECT sum(e.amount) FROM ledger_entries e
     WHERE e.account_id = a.id
       AND e.id > coalesce((SELECT max(entry_id) FROM clearing_mark), 0)
  ) part
 WHERE a.kind = 'system' AND a.code = 'inter-organisation' AND a.unit_id = :unit_id
   AND a.organisation_id = :organisation_id AND a.counterparty_id = :counterparty_id
""")
_SETTLEMENT: Final = text("""
SELECT t.id, t.organisation_id, e.account_id, e.unit_id, e.amount, a.counterparty_id
  FROM ledger_transactions t
  JOIN ledger_entries e ON e.transaction_id = t.id
  JOIN accounts a ON a.id = e.account_id
 WHERE t.public_id = :public_id AND t.type = 'settlement'
 ORDER BY e.id
""")
_UNDONE: Final = text("SELECT EXISTS (SELECT FROM ledger_transactions WHERE undoes_id = :id)")


def owed(session: Session, *, debtor_id: int, creditor_id: int, unit_id: int) -> int:
    """What one organisation owes another, in minor units; below zero the other owes it."""
    parameters = {
        "organisation_id": debtor_id,
        "counterparty_id": creditor_id,
        "unit_id": unit_id,
    }
    return int(session.execute(_OWED, parameters).scalar_one())


def settle_up(
    session: Session,
    *,
    debtor_id: int,
    creditor_id: int,
    unit_id: int,
    amount: int,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Transaction:
    """Write down that the debtor paid the creditor `amount` minor units of what it owes.

    Payments between the same two in the same unit wait for each other, so that two at once
    cannot both pay the last of a debt; a refund at a till may still make it smaller than what
    was paid, and then the creditor owes the difference. Raises InputError and Refused, whose
    data holds `owed`, when it is more than is owed.
    """
    check(amount, reason)
    if debtor_id == creditor_id:
        raise wrong("creditor", "must be another organisation than the debtor")
    low, high = sorted((debtor_id, creditor_id))
    _lock(session, low, high, unit_id)
    due = max(owed(session, debtor_id=debtor_id, creditor_id=creditor_id, unit_id=unit_id), 0)
    if amount > due:
        raise Refused("This is more than is owed.", owed=due)
    owing = between(session, debtor_id, creditor_id, unit_id, now)
    claim = between(session, creditor_id, debtor_id, unit_id, now)
    posting = Posting(
        organisation_id=debtor_id,
        type=TransactionType.SETTLEMENT,
        actor=actor,
        reason=reason,
        at=now,
        legs=[
            Leg(owing, unit_id, -amount),
            Leg(_cash(session, debtor_id, unit_id, now), unit_id, amount),
            Leg(claim, unit_id, amount),
            Leg(_cash(session, creditor_id, unit_id, now), unit_id, -amount),
        ],
    )
    return post(session, posting, lane=Lane.INTERACTIVE)


def undo_settlement(
    session: Session, public_id: str, *, actor: Actor, reason: str, now: datetime
) -> Transaction:
    """Take back a payment that was written down by mistake: what it paid is owed again.

    Raises InputError, NotFound (no such settlement) and AlreadyReversed.
    """
    check(1, reason)
    rows = session.execute(_SETTLEMENT, {"public_id": public_id}).all()
    if not rows:
        raise NotFound(f"There is no settlement {public_id}.")
    low, high = sorted({row.counterparty_id for row in rows} - {None})
    _lock(session, low, high, rows[0].unit_id)
    if session.execute(_UNDONE, {"id": rows[0].id}).scalar_one():
        raise AlreadyReversed("This settlement was taken back before.")
    posting = Posting(
        organisation_id=rows[0].organisation_id,
        type=TransactionType.REVERSAL,
        actor=actor,
        reason=reason,
        at=now,
        legs=[Leg(row.account_id, row.unit_id, -row.amount) for row in rows],
        undoes_id=rows[0].id,
    )
    return post(session, posting, lane=Lane.INTERACTIVE)


def _lock(session: Session, low: int, high: int, unit_id: int) -> None:
    session.execute(_LOCK, {"pair": f"{low} {high} {unit_id}"})


def _cash(session: Session, organisation_id: int, unit_id: int, now: datetime) -> int:
    return system_account(
        session,
        organisation_id=organisation_id,
        unit_id=unit_id,
        code=SystemCode.CASH_CLEARING,
        now=now,
    )
