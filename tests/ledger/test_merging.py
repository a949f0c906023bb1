"""Accounts that become one, and parts that leave: nothing is lost, no date changes."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest

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
from walletsvc.ledger.models import Account, AccountKind, Transaction, TransactionType


def lots(shop: Shop, account: int) -> list[tuple[Any, ...]]:
    """What is left, and its dates, in the order it will be spent."""
    return shop.all(
        "SELECT remaining, source, promotional, earned_at, available_from, expires_at FROM lots"
        " WHERE account_id = :a AND remaining > 0 ORDER BY expires_at, id",
        a=account,
    )


def changes(shop: Shop) -> set[int]:
    """The accounts that passes are looked through for."""
    return {row[0] for row in shop.all("SELECT key FROM changes WHERE topic = 'account'")}


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


def hold(shop: Shop, account: int, amount: int) -> None:
    """Reserve points of the account's newest lot, as an active hold would."""
    shop_lot = shop.all("SELECT max(id) FROM lots WHERE account_id = :a", a=account)[0][0]
    with shop.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO holds (public_id, account_id, state, amount, captured, acceptor_id, actor,"
            " reason, created_at, expires_at) VALUES ('h' || %s::text, %s, 'active', %s, 0, %s,"
            " 'x', '', %s, %s)",
            (account, account, amount, shop.organisation_id, shop.now, shop.days(3)),
        )
        connection.exec_driver_sql(
            "INSERT INTO hold_lots SELECT max(id), %s, %s FROM holds", (shop_lot, amount)
        )
        connection.exec_driver_sql(
            "UPDATE lots SET held = held + %s WHERE id = %s", (amount, shop_lot)
        )
        connection.exec_driver_sql(
            "UPDATE accounts SET held = held + %s WHERE id = %s", (amount, account)
        )


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


class Chance:
    """Several accounts and everything that may happen to them, drawn from one seed."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop = shop
        self.dice = random.Random(seed)
        self.now = shop.now
        self.accounts = [shop.account(min_balance=-60) for _ in range(4)]
        self.old = list(self.accounts)
        self.posted: list[Transaction] = []
        # How many points there are of each end: moving them must not change it.
        self.day = 0

    def pick(self) -> int:
        """Any account that somebody may still name, merged ones too."""
        return self.dice.choice(self.old)

    def step(self) -> None:
        match self.dice.choice("ccccddddrrrrmttw"):
            case "c":
                self.credit()
            case "d":
                self.posted.append(
                    self.shop.debit(self.pick(), self.dice.randint(1, 90), now=self.now)
                )
            case "r" if self.posted:
                amount = self.dice.choice([None, self.dice.randint(1, 40)])
                which = self.dice.choice(self.posted)
                self.shop.reverse(which, amount=amount, now=self.now)
            case "m" if len(self.accounts) > 1:
                self.merge()
            case "t":
                self.leave()
            case "w":
                self.day += 1
                self.now = self.shop.days(self.day)

    def credit(self) -> None:
        starts = self.dice.choice([None, None, self.shop.days(self.day + 2)])
        ends = self.dice.choice([None, self.shop.days(self.day + self.dice.randint(3, 12))])
        self.posted.append(
            self.shop.credit(
                self.pick(),
                self.dice.randint(1, 80),
                now=self.now,
                available_from=starts,
                expires_at=ends,
            )
        )

    def worth(self, accounts: list[int]) -> tuple[int, dict[datetime | None, int]]:
        """What they have together, and the points by their end."""
        rows = self.shop.all(
            "SELECT expires_at, sum(remaining)::bigint FROM lots WHERE account_id = ANY(:ids)"
            " AND remaining > 0 GROUP BY expires_at",
            ids=accounts,
        )
        return sum(self.shop.balance(a) for a in accounts), dict(rows)

    def settled(self, pair: list[int]) -> tuple[int, dict[datetime | None, int]]:
        with self.shop.database.write_tx() as session:
            service.lock(session, pair, now=self.now)
        return self.worth(pair)

    def merge(self) -> None:
        pair = self.dice.sample(self.accounts, 2)
        balance, points = self.settled(pair)
        in_debt = min(self.shop.balance(a) for a in pair) < 0
        self.shop.merge(*pair, now=self.now)
        self.accounts.remove(pair[0])
        after = self.worth(pair)
        assert after[0] == balance
        if not in_debt:
            assert after[1] == points

    def leave(self) -> None:
        source, target = self.dice.choice(self.accounts), self.shop.account(min_balance=-60)
        before = self.settled([source, target])
        self.shop.transfer(source, target, self.dice.randint(1, 60), now=self.now)
        assert self.worth([source, target]) == before
        self.accounts.append(target)
        self.old.append(target)


@pytest.mark.parametrize("seed", range(12))
def test_random_histories_with_joining_and_leaving_stay_clean(shop: Shop, seed: int) -> None:
    """Whatever happens in whatever order: sums and dates stay, and verification finds nothing."""
    chance = Chance(shop, seed)
    for _ in range(70):
        with suppress(AlreadyReversed, InsufficientFunds, Refused):
            chance.step()
    assert shop.differences() == []
    assert {row[0] for row in shop.all("SELECT type FROM ledger_transactions")} >= {
        "merge", "transfer", "reversal", "maturity",
    }  # fmt: skip
