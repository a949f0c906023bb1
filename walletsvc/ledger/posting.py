"""Writing one transaction: everything it changes goes to the database as one statement.

One statement is one round trip under the account's lock, and leaves no place between two
steps to crash in. The data-modifying parts all see the state before the statement; the
balance trigger and the foreign keys are checked at its end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key
from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.ids import public_id
from walletsvc.jobs.changes import CHANGES, Lane
from walletsvc.ledger.models import Account, Transaction, TransactionType
from walletsvc.storage.engine import signal

# Everything of varying length comes as three JSON texts: to the driver that is three strings of
# one kind, where twenty arrays would cost more than the statement itself.
# Lot ids are drawn before the lots are inserted: a new lot that repays a debt moves at once.
# The rows to change are named twice: of a JSON text the planner expects a hundred rows, and to find
# so many it would rather read all accounts of a small shop than go by their keys.
# A lot appears once in `changed`, whatever happens to it: one statement cannot update a row twice.
POST_SQL = """
WITH posted AS (
    INSERT INTO ledger_transactions
        (public_id, organisation_id, type, actor, branch_id, card_id, reason, undoes_id, at)
    VALUES (:public_id, :organisation_id, :type, :actor, CAST(:branch_id AS bigint),
            CAST(:card_id AS bigint), :reason, CAST(:undoes_id AS bigint), :at)
    RETURNING id
), leg AS (
    SELECT * FROM json_to_recordset(CAST(:legs AS json)) AS leg (
        account_id bigint, unit_id bigint, amount bigint, balance_after bigint, freed bigint)
), entries AS (
    INSERT INTO ledger_entries (transaction_id, account_id, unit_id, amount, balance_after)
    SELECT posted.id, account_id, unit_id, amount, balance_after FROM posted, leg
), changed AS (
    SELECT * FROM json_to_recordset(CAST(:lots AS json)) AS changed (
        lot_id bigint, amount bigint, freed bigint, matures boolean)
), new_lot AS MATERIALIZED (
    SELECT nextval('lots_id_seq') AS id, lot.*
      FROM json_to_recordset(CAST(:new_lots AS json)) AS lot (
        account_id bigint, original bigint, remaining bigint, source text, promotional boolean,
        earned_at timestamptz, available_from timestamptz, expires_at timestamptz,
        matured boolean, origin_id bigint)
), lots_added AS (
    INSERT INTO lots (id, account_id, transaction_id, origin_id, matured_id, original, remaining,
                      held, source, promotional, earned_at, available_from, expires_at)
    SELECT new_lot.id, account_id, posted.id, origin_id, CASE WHEN matured THEN posted.id END,
           original, remaining, 0, source, promotional, earned_at, available_from, expires_at
      FROM posted, new_lot
), lots_changed AS (
    UPDATE lots SET remaining = remaining + changed.amount, held = held - changed.freed,
           matured_id = CASE WHEN changed.matures THEN posted.id ELSE matured_id END
      FROM posted, changed
     WHERE lots.id = changed.lot_id AND lots.id = ANY (ARRAY(SELECT lot_id FROM changed))
), movements AS (
    INSERT INTO lot_movements (transaction_id, lot_id, amount)
    SELECT posted.id, lot_id, amount FROM posted, changed WHERE amount <> 0
    UNION ALL
    SELECT posted.id, new_lot.id, remaining - original FROM posted, new_lot
     WHERE remaining <> original
), balances AS (
    UPDATE accounts SET balance = leg.balance_after, held = held - leg.freed
      FROM leg WHERE accounts.id = leg.account_id AND leg.balance_after IS NOT NULL
       AND accounts.id = ANY (ARRAY(SELECT account_id FROM leg))
), noted AS (
    INSERT INTO changes (topic, key, lane, at)
    SELECT 'account', key, :lane, :at FROM unnest(CAST(:touched AS bigint[])) AS key
)
SELECT id FROM posted
"""
_POST = text(POST_SQL)


@dataclass(frozen=True, slots=True)
class Leg:
    """One entry; `balance_after` is None on the system's side, which stores no balance.

    `freed` is how much less of the account is held from now on.
    """

    account_id: int
    unit_id: int
    amount: int
    balance_after: int | None = None
    freed: int = 0


@dataclass(frozen=True, slots=True)
class NewLot:
    """Points that come with this transaction; unless `matured`, for the future only.

    `remaining` is below `original` by what repays the holder's debt. Without moments of its
    own the lot is earned and available at the time of the transaction.
    """

    account_id: int
    original: int
    remaining: int
    source: str
    promotional: bool
    expires_at: datetime | None
    earned_at: datetime | None = None
    available_from: datetime | None = None
    matured: bool = True
    origin_id: int | None = None


@dataclass(frozen=True, slots=True)
class Posting:
    """A transaction that has passed every check; the accounts in it are locked.

    `moves` is by how much each lot changes, `freed` how much less of it is held, `matured` which
    lots join the balance. `also_touched` are holders whose balance stays as it is although what
    they will have changes.
    """

    organisation_id: int
    type: TransactionType
    actor: Actor
    reason: str
    at: datetime
    legs: Sequence[Leg]
    moves: Mapping[int, int] = field(default_factory=dict)
    freed: Mapping[int, int] = field(default_factory=dict)
    matured: Collection[int] = ()
    new_lots: Sequence[NewLot] = ()
    branch_id: int | None = None
    card_id: int | None = None
    undoes_id: int | None = None
    also_touched: Collection[int] = ()


def post(session: Session, posting: Posting, *, lane: Lane) -> Transaction:
    """Write a transaction and note that its holders' accounts changed."""
    transaction = Transaction(
        public_id=public_id(),
        organisation_id=posting.organisation_id,
        type=posting.type,
        actor=str(posting.actor),
        branch_id=posting.branch_id,
        card_id=posting.card_id,
        reason=posting.reason,
        undoes_id=posting.undoes_id,
        at=posting.at,
    )
    parameters = _parameters(posting, transaction, lane)
    transaction.id = session.execute(_POST, parameters).scalar_one()
    # The caller gets an object of its own session that is never inserted a second time.
    make_transient_to_detached(transaction)
    session.add(transaction)
    for leg in posting.legs:
        if leg.balance_after is not None:
            show_leg(session, leg)
    signal(session, CHANGES)
    return transaction


def _parameters(posting: Posting, transaction: Transaction, lane: Lane) -> dict[str, Any]:
    holders = (leg.account_id for leg in posting.legs if leg.balance_after is not None)
    changed = list(dict.fromkeys([*posting.moves, *posting.freed, *posting.matured]))
    return {
        "public_id": transaction.public_id,
        "organisation_id": transaction.organisation_id,
        "type": transaction.type.value,
        "actor": transaction.actor,
        "branch_id": transaction.branch_id,
        "card_id": transaction.card_id,
        "reason": transaction.reason,
        "undoes_id": transaction.undoes_id,
        "at": transaction.at,
        "legs": as_json(posting.legs),
        "lots": as_json(
            {
                "lot_id": lot,
                "amount": posting.moves.get(lot, 0),
                "freed": posting.freed.get(lot, 0),
                "matures": lot in posting.matured,
            }
            for lot in changed
        ),
        "new_lots": as_json(
            replace(
                lot,
                earned_at=lot.earned_at or posting.at,
                available_from=lot.available_from or posting.at,
            )
            for lot in posting.new_lots
        ),
        "touched": list(dict.fromkeys([*holders, *posting.also_touched])),
        "lane": int(lane),
    }


def as_json(rows: Iterable[Any]) -> str:
    """Rows as `json_to_recordset` reads them."""
    return orjson.dumps(list(rows)).decode()


def show_leg(session: Session, leg: Leg) -> None:
    """An Account that the caller has loaded shows what was just written."""
    if not session.identity_map:
        return
    loaded = session.identity_map.get(identity_key(Account, leg.account_id))
    if loaded is not None:
        set_committed_value(loaded, "balance", leg.balance_after)
        set_committed_value(loaded, "held", loaded.held - leg.freed)
