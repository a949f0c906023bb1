"""Reversals: whole or in parts, never more than was moved, and into the very lots that paid."""

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


def test_a_debit_is_undone_in_parts_until_nothing_is_left(shop: Shop) -> None:
    """Each part fills the lots that end last first; together they are the whole."""
    account = shop.account()
    shop.credit(account, 10, expires_at=shop.days(30))
    shop.credit(account, 10, expires_at=shop.days(60))
    spent = shop.debit(account, 18)
    shop.reverse(spent, amount=5)
    assert shop.remaining(account) == [0, 7]
    shop.reverse(spent, amount=6)
    assert shop.remaining(account) == [3, 10]
    before = shop.everything()
    with pytest.raises(Refused) as caught:
        shop.reverse(spent, amount=8)
    assert caught.value.data == {"reversible": 7}
    assert shop.everything() == before
    last = shop.reverse(spent)
    assert shop.all(
        "SELECT max(amount) FROM ledger_entries WHERE transaction_id = :t", t=last.id
    ) == [(7,)]
    assert (shop.balance(account), shop.remaining(account)) == (20, [10, 10])
    with pytest.raises(AlreadyReversed):
        shop.reverse(spent, amount=1)
    assert shop.differences() == []


def test_a_credit_is_undone_in_parts(shop: Shop) -> None:
    """What its own lot still has goes first, part by part; the rest of it stays spendable."""
    account = shop.account()
    shop.credit(account, 10, expires_at=shop.days(5))
    wrong = shop.credit(account, 10, expires_at=shop.days(60))
    shop.reverse(wrong, amount=4)
    assert shop.remaining(account) == [10, 6]
    shop.debit(account, 12)
    assert shop.remaining(account) == [0, 4]
    with pytest.raises(InsufficientFunds) as caught:
        shop.reverse(wrong)
    assert caught.value.data == {"available": 4}
    shop.reverse(wrong, amount=4)
    with pytest.raises(Refused) as refused:
        shop.reverse(wrong, amount=3)
    assert refused.value.data == {"reversible": 2}
    assert (shop.balance(account), shop.remaining(account)) == (0, [0, 0])
    assert shop.differences() == []


@pytest.mark.parametrize("amount", [0, -1])
def test_a_part_must_be_something(shop: Shop, amount: int) -> None:
    """Nothing cannot be undone, and less than nothing would be doing it again."""
    account = shop.account()
    spent = shop.credit(account, 10)
    with pytest.raises(InputError) as caught:
        shop.reverse(spent, amount=amount)
    assert caught.value.fields[0].field == "amount"


def test_a_pending_accrual_is_undone_in_parts_without_the_balance(shop: Shop) -> None:
    """What was never the holder's is taken from what will be; the rest matures on its day."""
    account = shop.account()
    accrual = shop.credit(account, 30, available_from=shop.days(7))
    shop.reverse(accrual, amount=10)
    assert (shop.balance(account), shop.remaining(account)) == (0, [20])
    shop.debit(account, 5, now=shop.days(7))
    assert (shop.balance(account), shop.remaining(account)) == (15, [15])
    assert shop.differences() == []


def test_an_accrual_undone_as_a_whole_never_matures(shop: Shop) -> None:
    """Nothing is pending any more, and nothing comes of it."""
    account = shop.account()
    shop.reverse(shop.credit(account, 30, available_from=shop.days(7)))
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(account, 1, now=shop.days(8))
    assert caught.value.data == {"available": 0}
    assert shop.all(
        "SELECT a.code, sum(e.amount)::int FROM ledger_entries e"
        " JOIN accounts a ON a.id = e.account_id GROUP BY a.code ORDER BY a.code"
    ) == [("issuance", 0), ("pending", 0)]
    assert shop.differences() == []


def test_an_accrual_is_undone_after_its_lot_matured(shop: Shop) -> None:
    """From that day on it is a credit like any other: it is the balance that falls."""
    account = shop.account()
    accrual = shop.credit(account, 30, available_from=shop.days(7))
    shop.reverse(accrual, amount=5)
    shop.debit(account, 15, now=shop.days(7))
    with pytest.raises(InsufficientFunds) as caught:
        shop.reverse(accrual, now=shop.days(8))
    assert caught.value.data == {"available": 10}
    shop.reverse(accrual, amount=10, now=shop.days(8))
    assert (shop.balance(account), shop.remaining(account)) == (0, [0])
    assert shop.all(
        "SELECT a.code, sum(e.amount)::int FROM ledger_entries e JOIN accounts a"
        " ON a.id = e.account_id WHERE a.code IN ('issuance', 'pending') GROUP BY a.code"
        " ORDER BY a.code"
    ) == [("issuance", -15), ("pending", 0)]
    assert shop.differences() == []


def test_an_accrual_due_but_not_noted_matures_before_it_is_undone(shop: Shop) -> None:
    """The answer does not depend on when a job last ran."""
    account = shop.account()
    accrual = shop.credit(account, 30, available_from=shop.days(7))
    shop.reverse(accrual, amount=10, now=shop.days(7))
    assert (shop.balance(account), shop.remaining(account)) == (20, [20])
    assert shop.differences() == []


def test_what_returns_goes_only_as_far_into_a_half_dead_lot_as_is_alive(shop: Shop) -> None:
    """Half of a credit was undone: that half of its lot is never filled again."""
    account = shop.account(min_balance=-100)
    wrong = shop.credit(account, 100, expires_at=shop.days(5))
    spent = shop.debit(account, 100)
    shop.credit(account, 50, expires_at=shop.days(9))
    shop.reverse(wrong, amount=60)
    assert (shop.balance(account), shop.remaining(account)) == (-10, [0, 0])
    shop.reverse(spent, amount=30)
    assert (shop.balance(account), shop.remaining(account)) == (20, [20, 0])
    shop.reverse(spent)
    assert (shop.balance(account), shop.remaining(account)) == (90, [40, 50])
    assert shop.differences() == []


def test_parts_of_a_debit_do_not_revive_a_dead_lot(shop: Shop) -> None:
    """Whatever the parts, the reversed credit's lot stays empty and the one that stood in fills."""
    account = shop.account(min_balance=-100)
    wrong = shop.credit(account, 40, expires_at=shop.days(5))
    spent = shop.debit(account, 40)
    shop.credit(account, 50, expires_at=shop.days(9))
    shop.reverse(wrong)
    assert (shop.balance(account), shop.remaining(account)) == (10, [0, 10])
    for _ in range(4):
        shop.reverse(spent, amount=10)
    assert (shop.balance(account), shop.remaining(account)) == (50, [0, 50])
    assert shop.differences() == []


def test_certificate_money_is_undone_in_parts(shop: Shop) -> None:
    """A part of the bill came back, then the rest; the sale itself only as far as it is there."""
    account = shop.certificate()
    sold = shop.credit(account, 1_000, source="sale")
    spent = shop.debit(account, 600)
    shop.reverse(spent, amount=250)
    with pytest.raises(Refused) as caught:
        shop.reverse(spent, amount=351)
    assert caught.value.data == {"reversible": 350}
    shop.reverse(sold, amount=650)
    assert shop.balance(account) == 0
    shop.reverse(spent)
    shop.reverse(sold)
    assert shop.balance(account) == 0
    assert shop.differences() == []
