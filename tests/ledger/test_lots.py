"""Lots: who pays first, what debt does to new points, what happens at a lot's end."""

from __future__ import annotations

import pytest

from tests.ledger.shop import Shop
from walletsvc.core.errors import InsufficientFunds


def test_the_lot_that_ends_soonest_pays_first(shop: Shop) -> None:
    """Spending goes by end, not by age; lots without an end come last, equals by age."""
    account = shop.account()
    endless = shop.credit(account, 10)
    late = shop.credit(account, 10, expires_at=shop.days(60))
    soon = shop.credit(account, 10, expires_at=shop.days(30))
    soon_too = shop.credit(account, 10, expires_at=shop.days(30))
    spent = shop.debit(account, 25)
    assert shop.remaining(account) == [10, 5, 0, 0]
    assert shop.all(
        "SELECT l.transaction_id, m.amount FROM lot_movements m JOIN lots l ON l.id = m.lot_id"
        " WHERE m.transaction_id = :t ORDER BY l.id",
        t=spent.id,
    ) == [(late.id, -5), (soon.id, -10), (soon_too.id, -10)]
    shop.debit(account, 12)
    assert shop.remaining(account) == [3, 0, 0, 0]
    assert endless.id < late.id
    assert shop.differences() == []


def test_new_points_repay_debt_first(shop: Shop) -> None:
    """The lot records all that came and keeps what the debt left of it."""
    account = shop.account(min_balance=-100)
    shop.debit(account, 40)
    assert shop.all("SELECT count(*) FROM lot_movements") == [(0,)]
    shop.credit(account, 30)
    assert (shop.balance(account), shop.remaining(account)) == (-10, [0])
    shop.credit(account, 30)
    assert (shop.balance(account), shop.remaining(account)) == (20, [0, 20])
    assert shop.all(
        "SELECT l.original, m.amount FROM lot_movements m JOIN lots l ON l.id = m.lot_id"
        " WHERE m.transaction_id = l.transaction_id ORDER BY m.id"
    ) == [(30, -30), (30, -10)]
    assert shop.differences() == []


def test_a_debit_beyond_the_lots_leaves_debt_without_a_lot(shop: Shop) -> None:
    """What exceeds the lots has no lot behind it."""
    account = shop.account(min_balance=-100)
    shop.credit(account, 30)
    spent = shop.debit(account, 50)
    assert (shop.balance(account), shop.remaining(account)) == (-20, [0])
    assert shop.all(
        "SELECT sum(amount) FROM lot_movements WHERE transaction_id = :t", t=spent.id
    ) == [(-30,)]


def test_a_lot_past_its_end_is_skipped_and_not_available(shop: Shop) -> None:
    """At its end a lot stops paying; it stays in the balance until it is written off."""
    account = shop.account()
    shop.credit(account, 100, expires_at=shop.days(30))
    shop.credit(account, 50)
    last_moment = shop.days(30 - 1e-6)
    shop.debit(account, 10, now=last_moment)
    assert shop.remaining(account) == [90, 50]
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(account, 51, now=shop.days(30))
    assert caught.value.data == {"available": 50}
    shop.debit(account, 50, now=shop.days(30))
    assert (shop.balance(account), shop.remaining(account)) == (90, [90, 0])
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(account, 1, now=shop.days(30))
    assert caught.value.data == {"available": 0}
    assert shop.differences() == []


def test_no_debt_while_an_ended_lot_awaits_being_written_off(shop: Shop) -> None:
    """Debt beside unspendable points would make lots and balance disagree."""
    account = shop.account(min_balance=-100)
    shop.credit(account, 30, expires_at=shop.days(1))
    shop.credit(account, 20)
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(account, 21, now=shop.days(2))
    assert caught.value.data == {"available": 20}
    shop.debit(account, 20, now=shop.days(2))
    assert shop.differences() == []


def test_points_not_yet_available_do_not_pay(shop: Shop) -> None:
    """A lot without its maturity is outside the balance, and outside spending."""
    account = shop.account()
    shop.credit(account, 10)
    shop.credit(account, 99, available_from=shop.days(14))
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(account, 11)
    assert caught.value.data == {"available": 10}
    shop.debit(account, 10)
    assert shop.remaining(account) == [0, 99]
    assert shop.differences() == []
