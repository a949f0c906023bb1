"""Reversals: whole, once, and into the very lots that paid."""

from __future__ import annotations

import pytest

from tests.ledger.shop import Shop
from walletsvc.core.errors import (
    AlreadyReversed,
    InputError,
    InsufficientFunds,
    NotFound,
    Refused,
)


def test_reversing_a_debit_restores_the_very_lots(shop: Shop) -> None:
    """Points come back where they were, with their dates: a refund neither keeps nor re-dates."""
    account = shop.account()
    shop.credit(account, 10, expires_at=shop.days(30))
    shop.credit(account, 10, expires_at=shop.days(60))
    before = shop.all("SELECT * FROM lots ORDER BY id")
    spent = shop.debit(account, 15)
    undone = shop.reverse(spent, now=shop.days(10))
    assert shop.all("SELECT * FROM lots ORDER BY id") == before
    assert shop.balance(account) == 20
    assert undone.undoes_id == spent.id
    assert shop.all(
        "SELECT account_id, amount FROM ledger_entries WHERE transaction_id = :t ORDER BY id",
        t=undone.id,
    ) == [
        (row[0], -row[1])
        for row in shop.all(
            "SELECT account_id, amount FROM ledger_entries WHERE transaction_id = :t ORDER BY id",
            t=spent.id,
        )
    ]
    assert shop.all("SELECT key FROM changes WHERE at = :at", at=shop.days(10)) == [(account,)]
    assert shop.differences() == []


def test_points_restored_after_their_end_stay_unspendable(shop: Shop) -> None:
    """A refund after the end of a lot gives back points that have ended."""
    account = shop.account()
    shop.credit(account, 10, expires_at=shop.days(1))
    spent = shop.debit(account, 10)
    shop.reverse(spent, now=shop.days(2))
    assert shop.balance(account) == 10
    with pytest.raises(InsufficientFunds):
        shop.debit(account, 1, now=shop.days(2))


def test_a_second_reversal_is_refused(shop: Shop) -> None:
    """A refund does not pay twice."""
    account = shop.account()
    shop.credit(account, 10)
    spent = shop.debit(account, 10)
    shop.reverse(spent)
    before = shop.everything()
    with pytest.raises(AlreadyReversed):
        shop.reverse(spent)
    assert shop.everything() == before


def test_a_reversal_cannot_be_reversed(shop: Shop) -> None:
    """Undoing an undoing is posting again."""
    account = shop.account()
    undone = shop.reverse(shop.credit(account, 10))
    with pytest.raises(Refused):
        shop.reverse(undone)


def test_bad_references_and_reasons_are_clear(shop: Shop) -> None:
    """An unknown transaction is not found; a reason that cannot be stored is named."""
    account = shop.account()
    done = shop.credit(account, 10)
    done.id += 1000
    with pytest.raises(NotFound):
        shop.reverse(done)
    with pytest.raises(InputError):
        shop.reverse(done, reason="x" * 201)


def test_reversing_a_credit_takes_its_own_lot_first(shop: Shop) -> None:
    """The points that came with it go, though another lot ends sooner."""
    account = shop.account()
    shop.credit(account, 10, expires_at=shop.days(5))
    wrong = shop.credit(account, 10, expires_at=shop.days(60))
    shop.reverse(wrong)
    assert (shop.balance(account), shop.remaining(account)) == (10, [10, 0])
    assert shop.differences() == []


def test_reversing_a_spent_credit_takes_from_other_lots(shop: Shop) -> None:
    """What its own lot no longer has comes from the others, earliest-expiring first."""
    account = shop.account()
    wrong = shop.credit(account, 10, expires_at=shop.days(5))
    shop.debit(account, 8)
    shop.credit(account, 10, expires_at=shop.days(60))
    shop.credit(account, 4, expires_at=shop.days(30))
    shop.reverse(wrong)
    assert (shop.balance(account), shop.remaining(account)) == (6, [0, 6, 0])
    assert shop.differences() == []


def test_reversing_a_spent_credit_is_refused_without_leave_for_debt(shop: Shop) -> None:
    """Points that are gone cannot be taken; with leave for debt the holder owes them."""
    account, debtor = shop.account(), shop.account(min_balance=-100)
    for each in (account, debtor):
        wrong = shop.credit(each, 10)
        shop.debit(each, 8)
        if each == account:
            with pytest.raises(InsufficientFunds) as caught:
                shop.reverse(wrong)
            assert caught.value.data == {"available": 2}
        else:
            shop.reverse(wrong)
    assert (shop.balance(account), shop.balance(debtor)) == (2, -8)
    assert shop.differences() == []


def test_an_ended_credit_can_still_be_reversed(shop: Shop) -> None:
    """Its own points are taken back though they can no longer be spent."""
    account = shop.account()
    wrong = shop.credit(account, 10, expires_at=shop.days(1))
    shop.reverse(wrong, now=shop.days(2))
    assert (shop.balance(account), shop.remaining(account)) == (0, [0])


def test_reversing_a_debit_repays_debt_before_it_fills_lots(shop: Shop) -> None:
    """While the holder owes, points that come back go to the debt; the rest to the lots."""
    account = shop.account(min_balance=-100)
    shop.credit(account, 30, expires_at=shop.days(5))
    spent = shop.debit(account, 30)
    shop.debit(account, 20)
    shop.reverse(spent)
    assert (shop.balance(account), shop.remaining(account)) == (10, [10])
    assert shop.differences() == []


def test_a_debt_repaid_and_then_undone_returns_to_the_lot_that_repaid_it(shop: Shop) -> None:
    """A debit's debt was repaid by a later lot: when it is reversed, that lot is made whole."""
    account = shop.account(min_balance=-100)
    shop.credit(account, 60, expires_at=shop.days(5))
    spent = shop.debit(account, 100)
    shop.credit(account, 50, expires_at=shop.days(9))
    assert shop.remaining(account) == [0, 10]
    shop.reverse(spent)
    assert (shop.balance(account), shop.remaining(account)) == (110, [60, 50])
    assert shop.differences() == []


def test_a_debit_reversed_after_its_credit_does_not_revive_it(shop: Shop) -> None:
    """A reversed credit's lot stays empty; what comes back makes whole the lot that stood in."""
    account = shop.account(min_balance=-100)
    wrong = shop.credit(account, 100, expires_at=shop.days(5))
    spent = shop.debit(account, 100)
    shop.credit(account, 50, expires_at=shop.days(9))
    shop.reverse(wrong)
    assert (shop.balance(account), shop.remaining(account)) == (-50, [0, 0])
    shop.reverse(spent)
    assert (shop.balance(account), shop.remaining(account)) == (50, [0, 50])
    assert shop.differences() == []


def test_a_debt_repaid_by_a_reversal_is_remembered(shop: Shop) -> None:
    """A lot whose points came back only to repay another debt gets them when that one is undone."""
    account = shop.account(min_balance=-100)
    shop.credit(account, 60)
    first = shop.debit(account, 60)
    second = shop.debit(account, 70)
    shop.reverse(first)
    assert (shop.balance(account), shop.remaining(account)) == (-10, [0])
    shop.reverse(second)
    assert (shop.balance(account), shop.remaining(account)) == (60, [60])
    assert shop.differences() == []


def test_certificate_redemption_and_sale_reverse_without_lots(shop: Shop) -> None:
    """Money comes back to the certificate; a sale cannot be undone once some is spent."""
    account = shop.certificate()
    sold = shop.credit(account, 100_000, source="sale")
    spent = shop.debit(account, 30_000)
    with pytest.raises(InsufficientFunds) as caught:
        shop.reverse(sold)
    assert caught.value.data == {"available": 70_000}
    shop.reverse(spent)
    shop.reverse(sold)
    assert shop.balance(account) == 0
    assert shop.all("SELECT count(*) FROM lot_movements") == [(0,)]
    assert shop.differences() == []
