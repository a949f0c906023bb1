"""Parts of a balance that move to another account."""

from __future__ import annotations

import pytest

from tests.ledger.lots import changes, hold, lots
from tests.ledger.shop import Shop
from walletsvc.core.errors import (
    InsufficientFunds,
)
from walletsvc.ledger.models import TransactionType


def test_a_transfer_takes_what_ends_first_and_keeps_its_dates(shop: Shop) -> None:
    """Each part is a lot of its own that says where it comes from."""
    source, target = shop.account(), shop.account()
    shop.credit(source, 30, source="birthday", promotional=True, expires_at=shop.days(3))
    shop.credit(source, 50, now=shop.days(1), expires_at=shop.days(9))
    left = shop.days(2)
    before = lots(shop, source)
    done = shop.transfer(source, target, 45, now=left)
    assert done.type == TransactionType.TRANSFER
    assert lots(shop, target) == [(30, *before[0][1:]), (15, *before[1][1:])]
    assert lots(shop, source) == [(35, *before[1][1:])]
    origins = shop.all(
        "SELECT o.account_id, l.matured_id FROM lots l JOIN lots o ON o.id = l.origin_id"
        " WHERE l.account_id = :a",
        a=target,
    )
    assert origins == [(source, done.id)] * 2
    assert changes(shop) == {source, target}
    assert shop.differences() == []


def test_a_transfer_never_takes_debt_ended_or_held_points(shop: Shop) -> None:
    """`available` says how much it could have been."""
    source, target = shop.account(min_balance=-100), shop.account()
    shop.credit(source, 30, expires_at=shop.days(1))
    shop.credit(source, 50)
    hold(shop, source, 20)
    for now, most in ((shop.now, 60), (shop.days(2), 30)):
        with pytest.raises(InsufficientFunds) as caught:
            shop.transfer(source, target, most + 1, now=now)
        assert caught.value.data == {"available": most}
    shop.transfer(source, target, 30, now=shop.days(2))
    assert shop.remaining(source) == [30, 20]
    assert shop.differences() == []


def test_a_part_repays_the_debt_of_who_gets_it(shop: Shop) -> None:
    """And is given back to when the spending that made the debt is undone."""
    source, target = shop.account(), shop.account(min_balance=-50)
    bought = shop.debit(target, 40)
    shop.credit(source, 30, expires_at=shop.days(3))
    shop.credit(source, 30, expires_at=shop.days(9))
    shop.transfer(source, target, 50)
    assert shop.balance(target) == 10
    assert shop.remaining(target) == [0, 10]
    assert shop.differences() == []
    shop.reverse(bought)
    assert shop.remaining(target) == [30, 20]
    assert shop.differences() == []


def test_a_refund_after_leaving_goes_to_the_account_that_paid(shop: Shop) -> None:
    """What left with a part of the balance is not given back a second time."""
    source, target = shop.account(), shop.account()
    given = shop.credit(source, 100, expires_at=shop.days(9))
    bought = shop.debit(source, 30)
    shop.transfer(source, target, 70)
    shop.reverse(bought)
    assert (shop.remaining(source), shop.remaining(target)) == ([30], [70])
    with pytest.raises(InsufficientFunds):
        shop.reverse(given)
    shop.reverse(given, amount=30)
    assert (shop.balance(source), shop.balance(target)) == (0, 70)
    assert shop.differences() == []


def test_certificate_money_is_transferred_in_parts(shop: Shop) -> None:
    """Without lots; never more than there is."""
    source, target = shop.certificate(), shop.certificate()
    shop.credit(source, 1_000)
    shop.transfer(source, target, 400)
    with pytest.raises(InsufficientFunds):
        shop.transfer(source, target, 601)
    assert (shop.balance(source), shop.balance(target)) == (600, 400)
    assert shop.differences() == []
