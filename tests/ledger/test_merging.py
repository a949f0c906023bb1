"""Accounts that become one, and parts that leave: nothing is lost, no date changes."""

from __future__ import annotations

import pytest

from tests.ledger.lots import changes, hold, lots
from tests.ledger.shop import Shop
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import (
    AlreadyReversed,
    Conflict,
    InsufficientFunds,
    NotFound,
    Refused,
)
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.ledger import service
from walletsvc.ledger.accounts import system_accounts
from walletsvc.ledger.models import Account, AccountKind, TransactionType


def test_a_merge_moves_balance_and_lots_with_their_dates(shop: Shop) -> None:
    """The older account is closed and stands for the other from now on."""
    source, target = shop.account(), shop.account()
    shop.credit(source, 50, source="birthday", promotional=True, expires_at=shop.days(9))
    shop.credit(source, 30, now=shop.days(1), expires_at=shop.days(40))
    shop.credit(source, 8, now=shop.days(1), available_from=shop.days(5), expires_at=shop.days(6))
    shop.credit(target, 20, expires_at=shop.days(20))
    brought, held = lots(shop, source), lots(shop, target)
    later = shop.days(2)
    done = shop.merge(source, target, now=later, reason="Семья")
    assert done is not None
    assert (done.type, done.reason) == (TransactionType.MERGE, "Семья")
    assert lots(shop, target) == sorted(brought + held, key=lambda lot: lot[5])
    assert (shop.balance(source), shop.balance(target)) == (0, 100)
    closed = shop.all("SELECT closed_at, merged_into_id FROM accounts WHERE id = :a", a=source)
    assert closed == [(later, target)]
    assert changes(shop) == {source, target}
    assert shop.differences() == []
    # What was still to come joins the balance of the other account.
    shop.debit(target, 108, now=shop.days(5))
    assert shop.differences() == []


def test_an_empty_account_is_merged_without_a_transaction(shop: Shop) -> None:
    """No value moves; what is to come moves nevertheless."""
    source, target = shop.account(), shop.account()
    shop.credit(source, 8, available_from=shop.days(5))
    assert shop.merge(source, target) is None
    assert changes(shop) == {source, target}
    assert shop.credit(source, 1).id
    shop.debit(target, 9, now=shop.days(5))
    assert shop.differences() == []


def test_whoever_holds_the_old_account_acts_on_the_new_one(shop: Shop) -> None:
    """Also after several mergers in a row."""
    first, second, third = shop.account(), shop.account(), shop.account()
    shop.credit(first, 10)
    shop.merge(first, second)
    shop.merge(second, third)
    shop.debit(first, 4)
    shop.credit(second, 1)
    assert [shop.balance(account) for account in (first, second, third)] == [0, 0, 7]
    assert shop.differences() == []


@pytest.mark.parametrize(("debtor_first", "left"), [(True, [0, 30]), (False, [0, 30])])
def test_one_accounts_lots_repay_the_others_debt(
    shop: Shop, debtor_first: bool, left: list[int]
) -> None:
    """Earliest-expiring first, whichever of the two joins the other."""
    debtor, saver = shop.account(min_balance=-50), shop.account()
    spent = shop.debit(debtor, 40)
    shop.credit(saver, 30, expires_at=shop.days(5))
    shop.credit(saver, 40, expires_at=shop.days(9))
    pair = (debtor, saver) if debtor_first else (saver, debtor)
    shop.merge(*pair)
    assert shop.balance(pair[1]) == 30
    assert shop.remaining(pair[1]) == left
    assert shop.differences() == []
    # Undone, the spending fills what stood in for it: latest-expiring first.
    shop.reverse(spent, amount=15)
    assert shop.remaining(pair[1]) == [5, 40]
    shop.reverse(spent)
    assert shop.remaining(pair[1]) == [30, 40]
    assert shop.differences() == []


def test_points_that_ended_do_not_pay_while_others_can(shop: Shop) -> None:
    """A lot past its end waits to be written off; only what nothing else covers is taken of it."""
    debtor, saver = shop.account(min_balance=-50), shop.account()
    shop.credit(saver, 30, expires_at=shop.days(1))
    shop.credit(saver, 25, expires_at=shop.days(9))
    shop.debit(debtor, 40)
    shop.merge(debtor, saver, now=shop.days(2))
    assert shop.remaining(saver) == [15, 0]
    assert shop.differences() == []


def test_two_debts_become_one_within_the_others_limit(shop: Shop) -> None:
    """How far a group may fall is said by its own account."""
    first, second, strict = (shop.account(min_balance=low) for low in (-50, -50, 0))
    shop.debit(first, 30)
    shop.debit(second, 10)
    with pytest.raises(Refused, match="owe"):
        shop.merge(first, strict)
    shop.merge(first, second)
    assert shop.balance(second) == -40
    shop.credit(second, 100)
    assert shop.remaining(second) == [60]
    assert shop.differences() == []


def test_certificates_are_merged_without_lots(shop: Shop) -> None:
    """The rest of one becomes another's; a redemption is undone where the money is."""
    source, target = shop.certificate(), shop.certificate()
    shop.credit(source, 1_000)
    spent = shop.debit(source, 300)
    shop.merge(source, target)
    assert shop.balance(target) == 700
    shop.reverse(spent)
    assert shop.balance(target) == 1_000
    assert shop.differences() == []


def test_a_purchase_from_before_joining_is_refunded_to_the_shared_account(shop: Shop) -> None:
    """The very lots it emptied are filled again, wherever they are now, part by part."""
    source, target = shop.account(), shop.account()
    shop.credit(source, 40, expires_at=shop.days(5))
    shop.credit(source, 60, expires_at=shop.days(9))
    bought = shop.debit(source, 70)
    shop.credit(target, 10, expires_at=shop.days(7))
    shop.merge(source, target)
    back = shop.reverse(bought, amount=45, card_id=None)
    assert shop.remaining(target) == [15, 60, 10]
    shop.reverse(bought)
    assert shop.remaining(target) == [40, 60, 10]
    with pytest.raises(AlreadyReversed):
        shop.reverse(bought)
    entry = shop.all(
        "SELECT account_id FROM ledger_entries WHERE transaction_id = :t"
        " AND balance_after IS NOT NULL",
        t=back.id,
    )
    assert entry == [(target,)]
    assert shop.differences() == []


def test_a_credit_from_before_joining_is_taken_back_from_its_own_lot(shop: Shop) -> None:
    """Though others of the shared account end sooner."""
    source, target = shop.account(), shop.account()
    shop.credit(target, 10, expires_at=shop.days(2))
    given = shop.credit(source, 40, expires_at=shop.days(9))
    shop.merge(source, target)
    shop.reverse(given, amount=15)
    assert shop.remaining(target) == [10, 25]
    shop.debit(target, 20)
    with pytest.raises(InsufficientFunds) as caught:
        shop.reverse(given)
    assert caught.value.data == {"available": 15}
    assert shop.differences() == []


@pytest.mark.parametrize("after_maturity", [False, True])
def test_an_accrual_of_the_joined_account_is_undone(shop: Shop, after_maturity: bool) -> None:
    """Before it matures only what was promised goes, afterwards the points."""
    source, target = shop.account(), shop.account()
    promised = shop.credit(source, 40, available_from=shop.days(5))
    shop.credit(target, 10)
    shop.merge(source, target)
    now = shop.days(6) if after_maturity else shop.days(1)
    shop.reverse(promised, amount=15, now=now)
    assert shop.balance(target) == (35 if after_maturity else 10)
    assert shop.differences() == []
    shop.debit(target, 35, now=shop.days(7))
    assert shop.balance(target) == 0
    assert shop.differences() == []


def test_reserved_value_keeps_accounts_apart(shop: Shop) -> None:
    """While a hold is active neither may be merged; once it ran out both may."""
    source, target = shop.account(), shop.account()
    shop.credit(source, 30)
    shop.credit(target, 30)
    hold(shop, source, 10)
    before = shop.everything()
    for pair in ((source, target), (target, source)):
        with pytest.raises(Conflict, match="reserved"):
            shop.merge(*pair)
    assert shop.everything() == before
    shop.merge(source, target, now=shop.days(3))
    assert shop.balance(target) == 60
    assert shop.differences() == []


def test_what_does_not_mix_is_refused(shop: Shop) -> None:
    """Another kind, unit or organisation, itself, a closed one, one that would be too full."""
    account, money, full = shop.account(), shop.certificate(), shop.account()
    gone = shop.account()
    shop.credit(account, 5)
    shop.credit(full, MAX_AMOUNT)
    shop.merge(gone, full)
    with shop.database.write_tx() as session:
        roubles = service.open_account(
            session, organisation_id=shop.organisation_id, unit_id=shop.roubles_id,
            kind=AccountKind.CUSTOMER, now=shop.now,
        ).id  # fmt: skip
        system = system_accounts(session, shop.organisation_id, shop.points_id, shop.now)
    before = shop.everything()
    for verb in (shop.merge, lambda a, b: shop.transfer(a, b, 1)):
        for other, error in [
            (money, Refused), (roubles, Refused), (account, Refused), (full, Refused),
            (gone, Conflict), (next(iter(system.values())), NotFound), (10**15, NotFound),
        ]:  # fmt: skip
            with pytest.raises(error):
                verb(account, other)
    assert shop.everything() == before


def test_the_caller_sees_what_was_written(shop: Shop) -> None:
    """Accounts that the session has loaded show the new state."""
    source, target = shop.account(), shop.account()
    shop.credit(source, 5)
    with shop.database.write_tx() as session:
        one, other = session.get_one(Account, source), session.get_one(Account, target)
        service.merge(session, source, target, actor=SYSTEM, reason="", now=shop.now)
        assert (one.balance, one.merged_into_id, other.balance) == (0, target, 5)
