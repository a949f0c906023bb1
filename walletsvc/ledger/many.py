"""One credit for many accounts: two statements, whatever their number, and those that are due.

Each account gets a transaction of its own, so that its history explains itself, and ends up
exactly as `service.credit` would have left it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.errors import NotFound, wrong
from walletsvc.core.ids import public_id
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.jobs.changes import Lane, touch
from walletsvc.ledger.accounts import DUE_SQL, system_account
from walletsvc.ledger.checks import check
from walletsvc.ledger.models import SystemCode
from walletsvc.ledger.settling import lock_settled

# Everything here is looked up by its key. What PostgreSQL knows of a table lags behind a ledger
# that grows by a thousand rows at a time: it would take a large table for a small one, and check
# each foreign key by reading all of it.
_BY_KEY: Final = text("SET LOCAL enable_seqscan = off")

# In ascending order like every lock of accounts, so that a purchase waits and nobody deadlocks.
_LOCK: Final = text(f"""
SELECT a.id, a.organisation_id, a.unit_id, a.closed_at IS NOT NULL AS closed, a.balance,
       {DUE_SQL} AS due
  FROM accounts a
 WHERE a.id = ANY(CAST(:ids AS bigint[])) AND a.kind = 'customer'
 ORDER BY a.id
   FOR NO KEY UPDATE OF a
""")  # noqa: S608 - composed of constants

# A statement of its own: it sees the accounts as they are under the locks. All entries are
# inserted at once, as the balance trigger wants them. Ids are drawn before the rows are made.
_POST: Final = text("""
WITH given AS (
    SELECT account_id, public_id, system_id, amount FROM unnest(
        CAST(:ids AS bigint[]), CAST(:public_ids AS text[]), CAST(:system_ids AS bigint[]),
        CAST(:amounts AS bigint[])
    ) AS given (account_id, public_id, system_id, amount)
), credited AS MATERIALIZED (
    SELECT given.*, a.organisation_id, a.unit_id, a.balance + amount AS balance_after,
           LEAST(GREATEST(-a.balance, 0), amount) AS repaid,
           nextval('ledger_transactions_id_seq') AS transaction_id,
           nextval('lots_id_seq') AS lot_id
      FROM given JOIN accounts a ON a.id = given.account_id
), posted AS (
    INSERT INTO ledger_transactions
        (id, public_id, organisation_id, type, actor, branch_id, reason, at)
    SELECT transaction_id, public_id, organisation_id, 'credit', :actor,
           CAST(:branch_id AS bigint), :reason, :at
      FROM credited
), entries AS (
    INSERT INTO ledger_entries (transaction_id, account_id, unit_id, amount, balance_after)
    SELECT transaction_id, account_id, unit_id, amount, balance_after FROM credited
    UNION ALL
    SELECT transaction_id, system_id, unit_id, -amount, NULL FROM credited
), lots_added AS (
    INSERT INTO lots (id, account_id, transaction_id, matured_id, original, remaining, held,
                      source, promotional, earned_at, available_from, expires_at)
    SELECT lot_id, account_id, transaction_id, transaction_id, amount, amount - repaid, 0,
           :source, :promotional, :at, :at, CAST(:expires_at AS timestamptz)
      FROM credited
), movements AS (
    INSERT INTO lot_movements (transaction_id, lot_id, amount)
    SELECT transaction_id, lot_id, -repaid FROM credited WHERE repaid > 0
)
UPDATE accounts SET balance = balance_after
  FROM credited WHERE accounts.id = credited.account_id
RETURNING accounts.id, credited.transaction_id
""")


@dataclass(frozen=True, slots=True)
class Credited:
    """How many accounts were credited, and how many left out: closed, or full.

    `transactions` has the id of the transaction of each that was credited.
    """

    accounts: int
    closed: int
    full: int
    transactions: Mapping[int, int] = field(default_factory=dict, compare=False)


def credit_many(
    session: Session,
    account_ids: Collection[int],
    amount: int,
    *,
    source: str,
    actor: Actor,
    reason: str,
    now: datetime,
    branch_id: int | None = None,
    expires_at: datetime | None = None,
    promotional: bool = False,
    lane: Lane = Lane.BULK,
) -> Credited:
    """Give each of these points accounts `amount` minor units, spendable at once.

    Debts are repaid first. Closed accounts, and those whose balance would pass MAX_AMOUNT, are
    left out and counted. Accounts that the session has loaded are not refreshed. Raises
    InputError (amount, texts, an end not after now) and NotFound (no points account).
    """
    return credit_each(
        session,
        dict.fromkeys(account_ids, amount),
        source=source,
        actor=actor,
        reason=reason,
        now=now,
        branch_id=branch_id,
        expires_at=expires_at,
        promotional=promotional,
        lane=lane,
    )


def credit_each(
    session: Session,
    amounts: Mapping[int, int],
    *,
    source: str,
    actor: Actor,
    reason: str,
    now: datetime,
    branch_id: int | None = None,
    expires_at: datetime | None = None,
    promotional: bool = False,
    lane: Lane = Lane.BULK,
) -> Credited:
    """The same with an amount for each account by its id."""
    for amount in sorted(set(amounts.values())) or [1]:
        check(amount, reason, source)
    if expires_at is not None and expires_at <= now:
        raise wrong("expires_at", "must be later than now")
    locked = _lock(session, amounts, now)
    open_ = [row for row in locked if not row.closed]
    taken = [row for row in open_ if row.balance <= MAX_AMOUNT - amounts[row.id]]
    ids = [row.id for row in taken]
    if due := [row.id for row in taken if row.due]:  # few: a job looks after the others
        lock_settled(session, due, now=now, lane=lane)
    made: dict[int, int] = {}
    if ids:
        posted = session.execute(
            _POST,
            {
                "ids": ids,
                "public_ids": [public_id() for _ in ids],
                "system_ids": _counterparts(session, taken, now),
                "amounts": [amounts[id_] for id_ in ids],
                "actor": str(actor),
                "branch_id": branch_id,
                "reason": reason,
                "at": now,
                "source": source,
                "promotional": promotional,
                "expires_at": expires_at,
            },
        )
        made = {row[0]: row[1] for row in posted}
    touch(session, "account", ids, at=now, lane=lane)
    return Credited(len(ids), len(locked) - len(open_), len(open_) - len(taken), made)


def look_up_by_key(session: Session) -> None:
    """Until this transaction ends nothing is read whole that has an index."""
    session.execute(_BY_KEY)


def _lock(session: Session, wanted: Collection[int], now: datetime) -> Sequence[Row[Any]]:
    look_up_by_key(session)
    locked = session.execute(_LOCK, {"ids": list(wanted), "now": now}).all()
    if len(locked) != len(wanted):
        raise NotFound("There is no such account.")
    return locked


def _counterparts(session: Session, accounts: Sequence[Row[Any]], now: datetime) -> list[int]:
    """The issuing account for each of these, made when it is new."""
    pairs = [(row.organisation_id, row.unit_id) for row in accounts]
    found = {
        (organisation_id, unit_id): system_account(
            session,
            organisation_id=organisation_id,
            unit_id=unit_id,
            code=SystemCode.ISSUANCE,
            now=now,
        )
        for organisation_id, unit_id in sorted(set(pairs))
    }
    return [found[pair] for pair in pairs]
