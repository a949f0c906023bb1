"""Writing several transactions, the captures of holds and what belongs to them as one statement.

Single verbs have a statement of their own (`posting`), which is the faster one for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.ids import public_id
from walletsvc.jobs.changes import CHANGES, Lane
from walletsvc.ledger.posting import Leg, NewLot, Posting, as_json, show_leg
from walletsvc.ledger.rules import Standing
from walletsvc.storage.engine import signal
from walletsvc.storage.statement import Statement

# The rows to change are named twice: of a JSON text the planner expects a hundred rows, and to find
# so many it would rather read all accounts of a small shop than go by their keys.
_ROWS: Final = """
WITH given AS MATERIALIZED (
    SELECT nextval('ledger_transactions_id_seq') AS id, t.*
      FROM json_to_recordset(CAST(:transactions AS json)) AS t (
        n int, public_id text, organisation_id bigint, type text, branch_id bigint,
        card_id bigint, reason text)
), posted AS (
    INSERT INTO ledger_transactions
        (id, public_id, organisation_id, type, actor, branch_id, card_id, reason, at)
    SELECT id, public_id, organisation_id, type, :actor, branch_id, card_id, reason, :at FROM given
), leg AS (
    SELECT * FROM json_to_recordset(CAST(:legs AS json)) AS leg (
        n int, o int, account_id bigint, unit_id bigint, amount bigint, balance_after bigint)
), entries AS (
    INSERT INTO ledger_entries (transaction_id, account_id, unit_id, amount, balance_after)
    SELECT given.id, account_id, unit_id, amount, balance_after
      FROM leg JOIN given USING (n) ORDER BY n, o
), changed AS (
    SELECT * FROM json_to_recordset(CAST(:lots AS json)) AS changed (
        n int, lot_id bigint, amount bigint, freed bigint)
), new_lot AS MATERIALIZED (
    SELECT nextval('lots_id_seq') AS id, lot.*
      FROM json_to_recordset(CAST(:new_lots AS json)) AS lot (
        n int, account_id bigint, original bigint, remaining bigint, source text,
        promotional boolean, earned_at timestamptz, available_from timestamptz,
        expires_at timestamptz, matured boolean)
), lots_added AS (
    INSERT INTO lots (id, account_id, transaction_id, matured_id, original, remaining, held,
                      source, promotional, earned_at, available_from, expires_at)
    SELECT new_lot.id, account_id, given.id, CASE WHEN matured THEN given.id END, original,
           remaining, 0, source, promotional, earned_at, available_from, expires_at
      FROM new_lot JOIN given USING (n)
), lots_changed AS (
    UPDATE lots SET remaining = remaining + total.amount, held = held - total.freed
      FROM (SELECT lot_id, sum(amount) AS amount, sum(freed) AS freed
              FROM changed GROUP BY lot_id) total
     WHERE lots.id = total.lot_id AND lots.id = ANY (ARRAY(SELECT lot_id FROM changed))
), movements AS (
    INSERT INTO lot_movements (transaction_id, lot_id, amount)
    SELECT given.id, lot_id, amount FROM changed JOIN given USING (n) WHERE amount <> 0
    UNION ALL
    SELECT given.id, new_lot.id, remaining - original FROM new_lot JOIN given USING (n)
     WHERE remaining <> original
), final AS (
    SELECT * FROM json_to_recordset(CAST(:balances AS json)) AS final (
        account_id bigint, balance bigint, freed bigint)
), balances AS (
    UPDATE accounts SET balance = final.balance, held = accounts.held - final.freed
      FROM final
     WHERE accounts.id = final.account_id
       AND accounts.id = ANY (ARRAY(SELECT account_id FROM final))
), captured AS (
    UPDATE holds SET state = 'captured', captured = taken.amount, closed_at = :at,
           transaction_id = given.id
      FROM json_to_recordset(CAST(:captures AS json)) AS taken (
        n int, hold_id bigint, amount bigint) JOIN given USING (n)
     WHERE holds.id = taken.hold_id
), noted AS (
    INSERT INTO changes (topic, key, lane, at)
    SELECT 'account', key, :lane, :at FROM unnest(CAST(:touched AS bigint[])) AS key
)"""


@dataclass
class Orders:
    """Postings in their order, captures (place of the posting, hold, amount), and how each
    account stands after all of them."""

    actor: Actor
    now: datetime
    postings: list[Posting] = field(default_factory=list)
    captures: list[tuple[int, int, int]] = field(default_factory=list)
    standings: dict[int, Standing] = field(default_factory=dict)


class Beside:
    """Rows of another package that are written by the same statement as the transactions.

    `rows` are further parts of its WITH; they may join `given` (`n`, `id`), the transactions by
    the place of their postings. `answer` is an expression over them. Parameters must not be named
    as those of this module.
    """

    def __init__(self, rows: str, answer: str) -> None:
        self.statement: Final = Statement(f"{_ROWS}, {rows} SELECT {answer} AS answer")


def write(
    session: Session, orders: Orders, lane: Lane, beside: Beside, values: Mapping[str, Any]
) -> Any:
    """Write all postings, perhaps none, and the rows `beside`; returns their answer."""
    row = beside.statement.first(session, {**values, **_parameters(orders, lane)})
    for posting in orders.postings:
        for leg in posting.legs:
            if leg.balance_after is not None:
                show_leg(session, leg)
    if orders.postings:
        signal(session, CHANGES)
    return row.answer


def _parameters(orders: Orders, lane: Lane) -> dict[str, Any]:
    numbered = list(enumerate(orders.postings))
    freed: dict[int, int] = {}
    touched: dict[int, None] = {}
    for posting in orders.postings:
        touched.update(dict.fromkeys(posting.also_touched))
        for leg in posting.legs:
            if leg.balance_after is not None:
                freed[leg.account_id] = freed.get(leg.account_id, 0) + leg.freed
    return {
        "actor": str(orders.actor),
        "at": orders.now,
        "lane": int(lane),
        "touched": list(touched),
        "transactions": as_json(
            {
                "n": n,
                "public_id": public_id(),
                "organisation_id": posting.organisation_id,
                "type": posting.type.value,
                "branch_id": posting.branch_id,
                "card_id": posting.card_id,
                "reason": posting.reason,
            }
            for n, posting in numbered
        ),
        "legs": as_json(
            _leg(n, o, leg)
            for n, posting in numbered
            for o, leg in enumerate(posting.legs)
        ),
        "lots": as_json(
            {"n": n, "lot_id": lot, "amount": posting.moves.get(lot, 0),
             "freed": posting.freed.get(lot, 0)}
            for n, posting in numbered
            for lot in dict.fromkeys([*posting.moves, *posting.freed])
        ),
        "new_lots": as_json(
            {"n": n, **_fields(lot)} for n, posting in numbered for lot in posting.new_lots
        ),
        "balances": as_json(
            {"account_id": id_, "balance": orders.standings[id_].balance, "freed": less}
            for id_, less in freed.items()
        ),
        "captures": as_json(
            {"n": n, "hold_id": hold, "amount": amount} for n, hold, amount in orders.captures
        ),
    }  # fmt: skip


def _leg(n: int, o: int, leg: Leg) -> dict[str, Any]:
    return {
        "n": n,
        "o": o,
        "account_id": leg.account_id,
        "unit_id": leg.unit_id,
        "amount": leg.amount,
        "balance_after": leg.balance_after,
    }


def _fields(lot: NewLot) -> dict[str, Any]:
    return {name: getattr(lot, name) for name in NewLot.__slots__}
