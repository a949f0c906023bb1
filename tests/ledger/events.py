"""What happens to accounts beyond crediting and spending, made from the rules for tests."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from tests.ledger.shop import Shop
from walletsvc.core.actor import SYSTEM
from walletsvc.core.ids import public_id
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import rules, service
from walletsvc.ledger.accounts import LockedAccount
from walletsvc.ledger.clearing import counter_legs
from walletsvc.ledger.lots import open_lots
from walletsvc.ledger.models import SystemCode, Transaction, TransactionType
from walletsvc.ledger.posting import Leg, NewLot, Posting, post
from walletsvc.ledger.spending import take_from_lots


def free(session: Session, account: int) -> int:
    """What may be held: not in debt, not held before."""
    found = session.execute(
        text("SELECT greatest(balance - held, 0) FROM accounts WHERE id = :a"), {"a": account}
    )
    return int(found.scalar_one())


def hold(
    shop: Shop,
    session: Session,
    account: int,
    amount: int,
    until: float,
    now: datetime | None = None,
) -> int:
    """Reserve, earliest-expiring lots first; certificates have none."""
    hold_id: int = session.execute(
        text(
            "INSERT INTO holds (public_id, account_id, state, amount, captured, acceptor_id, actor,"
            " reason, created_at, expires_at)"
            " VALUES (:p, :a, 'active', :n, 0, :o, '', '', :now, :until) RETURNING id"
        ),
        {
            "p": public_id(),
            "a": account,
            "n": amount,
            "o": shop.organisation_id,
            "now": now or shop.now,
            "until": shop.days(until),
        },
    ).scalar_one()
    left = amount
    for lot in open_lots(session, account):
        part = min(lot.remaining - lot.held, left)
        if part:
            left -= part
            session.execute(
                text("INSERT INTO hold_lots (hold_id, lot_id, amount) VALUES (:h, :l, :n)"),
                {"h": hold_id, "l": lot.id, "n": part},
            )
            session.execute(
                text("UPDATE lots SET held = held + :n WHERE id = :l"), {"l": lot.id, "n": part}
            )
    session.execute(
        text("UPDATE accounts SET held = held + :n WHERE id = :a"), {"a": account, "n": amount}
    )
    return hold_id


def _posting(
    account: LockedAccount, kind: TransactionType, legs: list[Leg], now: datetime, **more: object
) -> Posting:
    return Posting(
        organisation_id=account.organisation_id,
        type=kind,
        actor=SYSTEM,
        reason="",
        at=now,
        legs=legs,
        **more,  # type: ignore[arg-type]
    )


def capture(session: Session, hold_id: int, amount: int, now: datetime) -> Transaction:
    """Take `amount` of what is held; the rest is free again."""
    held = session.execute(
        text("SELECT account_id, amount FROM holds WHERE id = :h"), {"h": hold_id}
    ).one()
    account = service.lock(session, [held.account_id], now=now)[held.account_id]
    lots = session.execute(
        text("SELECT lot_id, amount FROM hold_lots WHERE hold_id = :h ORDER BY lot_id"),
        {"h": hold_id},
    ).all()
    moves = {
        lot: -part for lot, part in rules.give_back([tuple(row) for row in lots], amount).items()
    }
    balance = account.standing.balance - amount
    legs = [
        Leg(account.id, account.unit_id, -amount, balance, freed=held.amount),
        *counter_legs(session, account, -amount, SystemCode.REDEMPTION, None, now),
    ]
    freed = {row.lot_id: row.amount for row in lots}
    done = post(
        session,
        _posting(account, TransactionType.CAPTURE, legs, now, moves=moves, freed=freed),
        lane=Lane.INTERACTIVE,
    )
    session.execute(
        text(
            "UPDATE holds SET state = 'captured', captured = :n, transaction_id = :t,"
            " closed_at = :now WHERE id = :h"
        ),
        {"n": amount, "t": done.id, "now": now, "h": hold_id},
    )
    return done


def transfer(
    session: Session, giver_id: int, taker_id: int, amount: int, now: datetime
) -> Transaction:
    """A part of one account becomes that of a new one, each lot with its dates."""
    both = service.lock(session, [giver_id, taker_id], now=now)
    giver, taker = both[giver_id], both[taker_id]
    moves = take_from_lots(session, giver, amount, now)
    new = []
    for lot_id, part in moves.items():
        row = session.execute(
            text(
                "SELECT source, promotional, earned_at, available_from, expires_at FROM lots"
                " WHERE id = :l"
            ),
            {"l": lot_id},
        ).one()
        new.append(
            NewLot(
                taker_id,
                -part,
                -part,
                row.source,
                row.promotional,
                row.expires_at,
                row.earned_at,
                row.available_from,
                True,
                lot_id,
            )
        )
    legs = [
        Leg(giver_id, giver.unit_id, -amount, giver.standing.balance - amount),
        Leg(taker_id, taker.unit_id, amount, taker.standing.balance + amount),
    ]
    return post(
        session,
        _posting(giver, TransactionType.TRANSFER, legs, now, moves=moves, new_lots=new),
        lane=Lane.INTERACTIVE,
    )


def merge(session: Session, leaving_id: int, heir_id: int, now: datetime) -> None:
    """All of one account becomes another's: lots, balance, debt."""
    both = service.lock(session, [leaving_id, heir_id], now=now)
    leaving, heir = both[leaving_id], both[heir_id]
    session.execute(
        text("UPDATE lots SET account_id = :b WHERE account_id = :a"),
        {"a": leaving_id, "b": heir_id},
    )
    moved = leaving.standing.balance
    balance = heir.standing.balance + moved
    if moved:
        lots = open_lots(session, heir_id) if heir.has_lots else []
        excess = sum(lot.remaining for lot in lots) - max(balance, 0) if lots else 0
        legs = [
            Leg(leaving_id, leaving.unit_id, -moved, 0),
            Leg(heir_id, heir.unit_id, moved, balance),
        ]
        moves = rules.take(lots, excess) if excess else {}
        post(
            session,
            _posting(leaving, TransactionType.MERGE, legs, now, moves=moves),
            lane=Lane.INTERACTIVE,
        )
    session.execute(
        text("UPDATE accounts SET closed_at = :now, merged_into_id = :b WHERE id = :a"),
        {"now": now, "a": leaving_id, "b": heir_id},
    )
