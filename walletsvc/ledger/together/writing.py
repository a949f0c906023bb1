"""Writing several transactions and the captures of holds: asked for, sent with what comes next.

All ids are known beforehand, so no statement waits for the answer of another one. Single verbs
have a statement of their own (`posting`), which is the faster one for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.ids import public_id
from walletsvc.jobs.changes import Lane, touch
from walletsvc.ledger.posting import NewLot, Posting, as_json, show_leg
from walletsvc.ledger.rules import Standing
from walletsvc.ledger.together.holdings import Numbers
from walletsvc.storage.statement import Statement

# All entries at once: the database looks after each statement whether its transactions balance.
_POSTED: Final = Statement("""
WITH transactions AS (
    INSERT INTO ledger_transactions
        (id, public_id, organisation_id, type, actor, branch_id, card_id, reason, at)
    SELECT id, public_id, organisation_id, type, :actor, branch_id, card_id, reason, :at
      FROM json_to_recordset(CAST(:transactions AS json)) AS t (
        id bigint, public_id text, organisation_id bigint, type text, branch_id bigint,
        card_id bigint, reason text)
), entries AS (
    INSERT INTO ledger_entries (transaction_id, account_id, unit_id, amount, balance_after)
    SELECT * FROM json_to_recordset(CAST(:entries AS json)) AS leg (
        transaction_id bigint, account_id bigint, unit_id bigint, amount bigint,
        balance_after bigint)
), new_lots AS (
    INSERT INTO lots (id, account_id, transaction_id, matured_id, original, remaining, held,
                      source, promotional, earned_at, available_from, expires_at)
    SELECT id, account_id, transaction_id, CASE WHEN matured THEN transaction_id END, original,
           remaining, 0, source, promotional, earned_at, available_from, expires_at
      FROM json_to_recordset(CAST(:new_lots AS json)) AS lot (
        id bigint, account_id bigint, transaction_id bigint, matured boolean, original bigint,
        remaining bigint, source text, promotional boolean, earned_at timestamptz,
        available_from timestamptz, expires_at timestamptz)
)
INSERT INTO lot_movements (transaction_id, lot_id, amount)
SELECT * FROM json_to_recordset(CAST(:movements AS json)) AS moved (
    transaction_id bigint, lot_id bigint, amount bigint)
""")
_LOT: Final = Statement(
    "UPDATE lots SET remaining = remaining + :amount, held = held - :freed WHERE id = :id"
)
_BALANCE: Final = Statement(
    "UPDATE accounts SET balance = :balance, held = held - :freed WHERE id = :id"
)
_CAPTURE: Final = Statement("""
UPDATE holds SET state = 'captured', captured = :amount, closed_at = :at,
       transaction_id = :transaction_id
 WHERE id = :id
""")


@dataclass
class Orders:
    """Postings in their order, captures (place of the posting, hold, amount), and how each
    account stands after all of them."""

    actor: Actor
    now: datetime
    postings: list[Posting] = field(default_factory=list)
    captures: list[tuple[int, int, int]] = field(default_factory=list)
    standings: dict[int, Standing] = field(default_factory=dict)


def write(session: Session, orders: Orders, numbers: Numbers, lane: Lane) -> list[int]:
    """Ask for all postings, perhaps none, under these numbers; returns the ids of their
    transactions in their order."""
    if not orders.postings:
        return []
    ids = list(numbers.transactions[: len(orders.postings)])
    placed = list(zip(ids, orders.postings, strict=True))
    new_lots, movements = _lots(placed, iter(numbers.lots))
    posted = {
        "actor": str(orders.actor),
        "at": orders.now,
        "transactions": as_json(_transactions(placed)),
        "entries": as_json(_entries(placed)),
        "new_lots": as_json(new_lots),
        "movements": as_json(movements),
    }
    _POSTED.ask(session, posted)
    for posting in orders.postings:
        for lot_id in dict.fromkeys([*posting.moves, *posting.freed]):
            amount, freed = posting.moves.get(lot_id, 0), posting.freed.get(lot_id, 0)
            _LOT.ask(session, {"id": lot_id, "amount": amount, "freed": freed})
    _write_balances(session, orders)
    for place, hold, amount in orders.captures:
        values = {"id": hold, "amount": amount, "at": orders.now, "transaction_id": ids[place]}
        _CAPTURE.ask(session, values)
    touched = dict.fromkeys(each for posting in orders.postings for each in posting.also_touched)
    touch(session, "account", list(touched), at=orders.now, lane=lane)
    return ids


_Placed = list[tuple[int, Posting]]  # with the id of its transaction


def _transactions(placed: _Placed) -> Iterator[dict[str, Any]]:
    for id_, posting in placed:
        yield {
            "id": id_,
            "public_id": public_id(),
            "organisation_id": posting.organisation_id,
            "type": posting.type.value,
            "branch_id": posting.branch_id,
            "card_id": posting.card_id,
            "reason": posting.reason,
        }


def _entries(placed: _Placed) -> Iterator[dict[str, Any]]:
    for id_, posting in placed:
        for leg in posting.legs:
            yield {
                "transaction_id": id_,
                "account_id": leg.account_id,
                "unit_id": leg.unit_id,
                "amount": leg.amount,
                "balance_after": leg.balance_after,
            }


def _lots(
    placed: _Placed, numbers: Iterator[int]
) -> tuple[list[dict[str, Any]], list[dict[str, int]]]:
    """The new lots, and how much goes to and from each lot: what repays a debt is gone at once."""
    new: list[dict[str, Any]] = []
    moves: list[dict[str, int]] = []
    for id_, posting in placed:
        moves += [
            {"transaction_id": id_, "lot_id": lot_id, "amount": amount}
            for lot_id, amount in posting.moves.items()
            if amount
        ]
        for lot in posting.new_lots:
            number = next(numbers)
            new.append({"id": number, "transaction_id": id_, **_fields(lot)})
            if lot.remaining != lot.original:
                repaid = lot.remaining - lot.original
                moves.append({"transaction_id": id_, "lot_id": number, "amount": repaid})
    return new, moves


def _write_balances(session: Session, orders: Orders) -> None:
    freed: dict[int, int] = {}
    for posting in orders.postings:
        for leg in posting.legs:
            if leg.balance_after is not None:
                freed[leg.account_id] = freed.get(leg.account_id, 0) + leg.freed
                show_leg(session, leg)
    for id_, less in freed.items():
        balance = orders.standings[id_].balance
        _BALANCE.ask(session, {"id": id_, "balance": balance, "freed": less})


def _fields(lot: NewLot) -> dict[str, Any]:
    return {name: getattr(lot, name) for name in NewLot.__slots__}
