"""Taking a merger of accounts back: exactly, while what came lies untouched; else in amount."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm.util import identity_key
from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict
from walletsvc.jobs.changes import Lane, touch
from walletsvc.ledger.lots import UNDONE_SQL
from walletsvc.ledger.models import Account, Transaction, TransactionType
from walletsvc.ledger.posting import Leg, Posting, post
from walletsvc.ledger.settling import lock_settled

_STATE: Final = f"""
SELECT l.id, l.remaining, l.matured_id IS NOT NULL AS matured,
       coalesce((SELECT max(m.id) FROM lot_movements m WHERE m.lot_id = l.id), 0)::bigint AS last,
       {UNDONE_SQL.format(transaction="l.transaction_id")} AS undone
"""  # noqa: S608 - composed of constants
_LOTS: Final = text(f"""
{_STATE} FROM lots l
 WHERE l.account_id = :account_id AND (l.remaining > 0 OR l.remaining = 0) ORDER BY l.id
""")
_NOW: Final = text(f"""
{_STATE}, l.held, l.account_id, l.expires_at FROM lots l
 WHERE l.id = ANY(CAST(:ids AS bigint[])) ORDER BY l.id
""")
_FAMILY: Final = text("""
WITH RECURSIVE family (id) AS (
    SELECT CAST(:account_id AS bigint)
    UNION
    SELECT a.id FROM family JOIN accounts a ON a.merged_into_id = family.id
)
SELECT id FROM family ORDER BY id
""")
_UNDOINGS: Final = text("""
SELECT count(*) FROM ledger_entries e JOIN ledger_transactions u ON u.undoes_id = e.transaction_id
 WHERE e.account_id = ANY(CAST(:ids AS bigint[]))
""")
_REOPEN: Final = text(
    "UPDATE accounts SET closed_at = NULL, merged_into_id = NULL"
    " WHERE id = :id AND merged_into_id IS NOT NULL RETURNING id"
)
_MOVE: Final = text(
    "UPDATE lots SET account_id = :account_id WHERE id = ANY(CAST(:ids AS bigint[]))"
)
_MOVE_TO_COME: Final = text(
    "UPDATE lots SET account_id = :account_id WHERE id = ANY(CAST(:ids AS bigint[]))"
    " AND account_id = :source_id AND matured_id IS NULL AND remaining > 0"
)


class LotBefore(NamedTuple):
    """A lot as an account brought it: what was left, whether it was in the balance, the last
    movement of it, and how much of its coming had been undone."""

    id: int
    remaining: int
    matured: bool
    last: int
    undone: int


class Owed(NamedTuple):
    """What an account that was merged has to get back.

    `untouched`: every lot lies as it came, so that the merger can be taken back as if it had
    never been. Otherwise `amount` is what it brought, and what matured of it since, less what
    has ended by now or was undone.
    """

    untouched: bool
    amount: int


def family(session: Session, account_id: int) -> list[int]:
    """The account and all that were merged into it."""
    return list(session.execute(_FAMILY, {"account_id": account_id}).scalars())


def undoings(session: Session, account_ids: Sequence[int]) -> int:
    """How often something that these accounts did was undone, on whichever account."""
    return int(session.execute(_UNDOINGS, {"ids": list(account_ids)}).scalar_one())


def lots_of(session: Session, account_id: int) -> list[LotBefore]:
    """All lots of a locked account, those that are used up too."""
    return [LotBefore(*row) for row in session.execute(_LOTS, {"account_id": account_id})]


def owed(session: Session, account_id: int, brought: Sequence[LotBefore], now: datetime) -> Owed:
    """What of `brought` is to be given back by the account, which is locked and settled."""
    rows = session.execute(_NOW, {"ids": [lot.id for lot in brought]}).all()
    amount, untouched = 0, True
    for was, lot in zip(brought, rows, strict=True):
        same = LotBefore(lot.id, lot.remaining, lot.matured, lot.last, lot.undone) == was
        untouched = untouched and same and not lot.held and lot.account_id == account_id
        if lot.matured and (lot.expires_at is None or lot.expires_at > now):
            amount += max(was.remaining - (lot.undone - was.undone), lot.remaining)
    return Owed(untouched, amount)


def unmerge(
    session: Session,
    account_id: int,
    former_id: int,
    brought: Sequence[LotBefore],
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    card_id: int | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> Transaction | None:
    """Open an account that was merged into another again, with every lot that it brought.

    `owed` must have said that they are untouched. What is undone later of what it did before the
    merger happens on it again. Returns None when its balance was nothing. Raises NotFound and
    Conflict (the account was not merged).
    """
    account = lock_settled(session, [account_id], now=now, lane=lane)[account_id]
    if session.execute(_REOPEN, {"id": former_id}).first() is None:
        raise Conflict("The account was not merged into another.")
    loaded = session.identity_map.get(identity_key(Account, former_id))
    if loaded is not None:
        session.expire(loaded)
    session.execute(_MOVE, {"account_id": former_id, "ids": [lot.id for lot in brought]})
    amount = sum(lot.remaining for lot in brought if lot.matured)
    if not amount:
        touch(session, "account", [account.id, former_id], at=now, lane=lane)
        return None
    posting = Posting(
        organisation_id=account.organisation_id,
        type=TransactionType.MERGE,
        actor=actor,
        reason=reason,
        at=now,
        legs=[
            Leg(account.id, account.unit_id, -amount, account.standing.balance - amount),
            Leg(former_id, account.unit_id, amount, amount),
        ],
        card_id=card_id,
    )
    return post(session, posting, lane=lane)


def move_to_come(
    session: Session, source_id: int, target_id: int, lot_ids: Collection[int], now: datetime
) -> None:
    """Promise to another account those of these lots that are still to come; both are locked."""
    values = {"source_id": source_id, "account_id": target_id, "ids": list(lot_ids)}
    session.execute(_MOVE_TO_COME, values)
    touch(session, "account", [source_id, target_id], at=now)
