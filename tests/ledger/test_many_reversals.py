"""Undoing many credits at once: each as a single reversal would, or not at all."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text
from sqlmodel import Session

from tests.factories import TILL
from tests.ledger.shop import Shop
from walletsvc.ledger.service import close_empty, credit_each, reopen, reverse, reverse_many


def credited(shop: Shop, session: Session, amounts: dict[int, int]) -> dict[int, int]:
    found = credit_each(session, amounts, source="import", actor=TILL, reason="list", now=shop.now)
    return dict(found.transactions)


def undo(shop: Shop, *transactions: int) -> set[int]:
    with shop.database.write_tx() as session:
        return set(
            reverse_many(session, transactions, actor=TILL, reason="list back", now=shop.now)
        )


def test_what_nobody_touched_goes_and_the_rest_stays(shop: Shop) -> None:
    """Spent, reserved, undone before, and what repaid a debt is left; several of one account go
    together. Every look through the ledger agrees."""
    whole, spent, held, undone = (shop.account() for _ in range(4))
    owing = shop.account(min_balance=-100)
    shop.debit(owing, 30)
    with shop.database.write_tx() as session:
        made = credited(shop, session, {whole: 70, spent: 70, held: 70, undone: 70, owing: 70})
        more = credited(shop, session, {whole: 5})
    shop.debit(spent, 1)
    shop.hold(held, 1)
    assert undo(shop, made[undone]) == {made[undone]}
    gone = undo(shop, *made.values(), *more.values(), 0)
    assert gone == {made[whole], more[whole]}
    assert [shop.balance(each) for each in (whole, spent, held, undone, owing)] == [
        0, 69, 70, 0, 40,
    ]  # fmt: skip
    assert undo(shop, *made.values()) == set()
    assert shop.differences() == []


def test_a_single_reversal_writes_the_same(shop: Shop) -> None:
    """Types, entries, what is left, lots and their movements."""
    told = []
    for way in ("one", "many"):
        account = shop.account()
        with shop.database.write_tx() as session:
            made = credited(shop, session, {account: 70})[account]
        if way == "many":
            assert undo(shop, made) == {made}
        else:
            with shop.database.write_tx() as session:
                reverse(session, made, actor=TILL, reason="list back", now=shop.now)
        with shop.database.read_tx() as session:
            told.append(
                session.execute(
                    text(
                        "SELECT t.type, e.amount, e.balance_after, s.code, l.remaining, m.amount"
                        "  FROM ledger_transactions t"
                        "  JOIN ledger_entries e ON e.transaction_id = t.id"
                        "  JOIN accounts s ON s.id = e.account_id"
                        "  JOIN lots l ON l.account_id = :id"
                        "  LEFT JOIN lot_movements m ON m.transaction_id = t.id"
                        " WHERE t.undoes_id = :made ORDER BY e.amount"
                    ),
                    {"id": account, "made": made},
                ).all()
            )
    assert told[0] == told[1] != []


def test_points_that_ended_stay(shop: Shop) -> None:
    """They are written off by a job, and only once."""
    account = shop.account()
    with shop.database.write_tx() as session:
        found = credit_each(
            session, {account: 70}, source="import", actor=TILL, reason="", now=shop.now,
            expires_at=shop.now + timedelta(days=1),
        )  # fmt: skip
        late = reverse_many(
            session, found.transactions.values(), actor=TILL, reason="",
            now=shop.now + timedelta(days=1),
        )  # fmt: skip
    assert late == {}


def test_only_empty_accounts_are_closed(shop: Shop) -> None:
    full, empty = shop.account(), shop.account()
    shop.credit(full, 1)
    with shop.database.write_tx() as session:
        assert close_empty(session, [full, empty], shop.now) == {empty}
        assert close_empty(session, [empty], shop.now) == set()
        reopen(session, [empty])
    shop.credit(empty, 1)
