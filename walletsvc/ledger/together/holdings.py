"""What several verbs need to know of an account's lots and of holds, as columns of a statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from walletsvc.ledger.models import HoldState
from walletsvc.ledger.rules import OpenLot

# Columns of a SELECT: `lots` and `holds`, of the account `:account_id` and the holds `:hold_ids`,
# lots earliest-expiring first, those of a hold too; and ids for `:postings` transactions and for
# `:new_lots` lots: who knows them beforehand need not wait for an answer.
_LOTS: Final = """
(SELECT json_agg(l ORDER BY l.expires_at, l.id) FROM (
    SELECT id, transaction_id, remaining, held, expires_at, available_from, promotional,
           matured_id IS NOT NULL AS matured
      FROM lots WHERE account_id = CAST(:account_id AS bigint) AND remaining > 0) l) AS lots
"""
_HOLDS: Final = """
(SELECT json_agg(h) FROM (
    SELECT id, account_id, amount, state, expires_at, acceptor_id,
           (SELECT json_agg(json_build_array(hl.lot_id, hl.amount) ORDER BY l.expires_at, l.id)
              FROM hold_lots hl JOIN lots l ON l.id = hl.lot_id WHERE hl.hold_id = o.id) AS lots
      FROM holds o WHERE id = ANY(CAST(:hold_ids AS bigint[]))) h) AS holds
"""
_NUMBERS: Final = """
ARRAY(SELECT nextval('ledger_transactions_id_seq')
        FROM generate_series(1, CAST(:postings AS int))) AS transaction_numbers,
ARRAY(SELECT nextval('lots_id_seq')
        FROM generate_series(1, CAST(:new_lots AS int))) AS lot_numbers
"""
HOLDINGS: Final = f"{_LOTS}, {_HOLDS}, {_NUMBERS}"
HOLDINGS_WITHOUT_HOLDS: Final = f"{_LOTS}, CAST(NULL AS json) AS holds, {_NUMBERS}"


class Numbers(NamedTuple):
    """Ids that were drawn for what will be written."""

    transactions: Sequence[int] = ()
    lots: Sequence[int] = ()


class HeldLot(NamedTuple):
    """Points that are not used up, matured or not."""

    open: OpenLot
    available_from: datetime
    promotional: bool
    matured: bool


class Reserved(NamedTuple):
    """A hold, and which lots it reserves."""

    id: int
    account_id: int
    amount: int
    state: HoldState
    expires_at: datetime
    acceptor_id: int
    lots: list[tuple[int, int]]


def lots_of(rows: Sequence[Mapping[str, Any]] | None) -> list[HeldLot]:
    """What the column `lots` of HOLDINGS says."""
    return [
        HeldLot(
            OpenLot(
                row["id"],
                row["transaction_id"],
                row["remaining"],
                row["held"],
                _moment(row["expires_at"]) if row["expires_at"] else None,
            ),
            _moment(row["available_from"]),
            row["promotional"],
            row["matured"],
        )
        for row in rows or ()
    ]


def holds_of(rows: Sequence[Mapping[str, Any]] | None) -> dict[int, Reserved]:
    """What the column `holds` of HOLDINGS says, by id."""
    return {
        row["id"]: Reserved(
            row["id"],
            row["account_id"],
            row["amount"],
            HoldState(row["state"]),
            _moment(row["expires_at"]),
            row["acceptor_id"],
            [(lot, amount) for lot, amount in row["lots"] or ()],
        )
        for row in rows or ()
    }


def _moment(value: str) -> datetime:
    return datetime.fromisoformat(value)
