"""What went wrong in other loyalty systems, each as a test of this ledger."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.concurrency.at_once import outcome, together
from tests.ledger.shop import Shop, credit, debit
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import AlreadyReversed, InsufficientFunds
from walletsvc.ledger import service
from walletsvc.ledger.models import SystemCode


def test_a_refunded_purchase_does_not_keep_its_points(shop: Shop) -> None:
    """Points that a purchase earned go when the purchase is refunded."""
    account = shop.account()
    earned = shop.credit(account, 50, source="purchase")
    shop.reverse(earned)
    assert (shop.balance(account), shop.remaining(account)) == (0, [0])
    assert shop.differences() == []


def test_a_partial_refund_takes_its_part_and_no_more(shop: Shop) -> None:
    """Returning one thing of three takes a third of the points, in whatever order it is asked."""
    account = shop.account()
    earned = shop.credit(account, 90)
    shop.reverse(earned, amount=30)
    shop.reverse(earned, amount=30)
    assert shop.balance(account) == 30
    shop.reverse(earned)
    assert shop.balance(account) == 0
    with pytest.raises(AlreadyReversed):
        shop.reverse(earned, amount=1)
    assert shop.differences() == []


def test_a_refund_deducts_once(shop: Shop) -> None:
    """A refund sent twice, or by two who do not know of each other, takes the points once."""
    account = shop.account()
    shop.credit(account, 100)
    earned = shop.credit(account, 50)
    results = together(6, lambda _: outcome(lambda: shop.reverse(earned)))
    assert Counter(results) == {"done": 1, "already_reversed": 5}
    assert shop.balance(account) == 100


def test_a_refund_of_a_spending_gives_back_once(shop: Shop) -> None:
    """Nor are points that paid given back twice."""
    account = shop.account()
    shop.credit(account, 100)
    spent = shop.debit(account, 60)
    shop.reverse(spent)
    with pytest.raises(AlreadyReversed):
        shop.reverse(spent)
    assert (shop.balance(account), shop.remaining(account)) == (100, [100])


def test_a_refund_does_not_give_old_points_a_new_life(shop: Shop) -> None:
    """What comes back ends when it would have ended."""
    account = shop.account()
    shop.credit(account, 40, expires_at=shop.days(10))
    spent = shop.debit(account, 40)
    shop.reverse(spent, now=shop.days(9))
    assert shop.all("SELECT expires_at FROM lots") == [(shop.days(10),)]
    with pytest.raises(InsufficientFunds):
        shop.debit(account, 1, now=shop.days(10))


def test_two_cards_pay_one_bill_and_only_what_is_needed(shop: Shop) -> None:
    """The second card pays the rest of the bill and keeps what is over; neither is emptied."""
    cards = [shop.certificate(), shop.certificate()]
    for card in cards:
        shop.credit(card, 1000)
    bill = 1300
    with shop.database.write_tx() as session:
        locked = service.lock(session, cards, now=shop.now)
        for card in cards:
            part = min(locked[card].standing.balance, bill)
            debit(session, card, part, now=shop.now)
            bill -= part
    assert [shop.balance(card) for card in cards] == [0, 700]
    assert shop.differences() == []


def test_a_bill_that_two_cards_cannot_pay_takes_from_neither(shop: Shop) -> None:
    """When the second card is refused, the first keeps its money too: one transaction, or none."""
    cards = [shop.certificate(), shop.certificate()]
    for card in cards:
        shop.credit(card, 100)
    before = shop.everything()
    with pytest.raises(InsufficientFunds), shop.database.write_tx() as session:
        for card, part in zip(cards, (100, 101), strict=True):
            debit(session, card, part, now=shop.now)
    assert shop.everything() == before


def test_one_card_is_not_redeemed_twice_at_once(shop: Shop) -> None:
    """Two tills that both saw the whole amount: one gets it."""
    card = shop.certificate()
    shop.credit(card, 1000)
    results = together(6, lambda _: outcome(lambda: shop.debit(card, 1000)))
    assert Counter(results) == {"done": 1, "insufficient_funds": 5}
    assert shop.balance(card) == 0


def test_what_was_read_before_the_lock_does_not_count(shop: Shop) -> None:
    """A balance checked first and spent later: the lock's balance decides, not the one seen."""
    account = shop.account()
    shop.credit(account, 100)
    with shop.database.write_tx() as session:
        before = service.lock(session, [account], now=shop.now)[account].standing.balance
    shop.debit(account, 80)
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(account, before)
    assert caught.value.data == {"available": 20}


def test_an_empty_card_pays_nothing(shop: Shop) -> None:
    """A card at zero cannot be used again, not even for the smallest sum."""
    card = shop.certificate()
    shop.credit(card, 500)
    shop.debit(card, 500)
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(card, 1)
    assert caught.value.data == {"available": 0}


def test_points_that_ended_do_not_pay_though_they_are_not_written_off(shop: Shop) -> None:
    """That no job has run yet is not the shop's loss."""
    account = shop.account()
    shop.credit(account, 10, expires_at=shop.days(1))
    shop.credit(account, 5)
    with pytest.raises(InsufficientFunds) as caught:
        shop.debit(account, 6, now=shop.days(1))
    assert caught.value.data == {"available": 5}


def test_points_for_later_do_not_pay_today(shop: Shop) -> None:
    """Nor are they lost: on their day they are there without any job."""
    account = shop.account()
    shop.credit(account, 10, available_from=shop.days(2))
    with pytest.raises(InsufficientFunds):
        shop.debit(account, 1)
    shop.debit(account, 10, now=shop.days(2))
    assert shop.balance(account) == 0


def test_one_wrong_row_of_many_is_told_before_anything_is_written(shop: Shop) -> None:
    """An error comes at once and leaves nothing, not after most of the members have been done."""
    accounts = [shop.account() for _ in range(5)]
    before = shop.everything()
    with pytest.raises(Exception, match="no such account"), shop.database.write_tx() as session:
        service.credit_many(
            session,
            [*accounts, max(accounts) + 10_000],
            10,
            source="gift",
            actor=SYSTEM,
            reason="",
            now=shop.now,
        )
    assert shop.everything() == before


def test_a_gift_card_does_not_pay_for_a_gift_card_out_of_nothing(shop: Shop) -> None:
    """Money that moves from card to card stays the same money; a move of more is refused."""
    one, two = shop.certificate(), shop.certificate()
    shop.credit(one, 300)
    options = {"now": shop.now, "against": SystemCode.CASH_CLEARING}
    for amount in (301, 300):
        try:
            with shop.database.write_tx() as session:
                service.lock(session, [one, two], now=shop.now)
                credit(session, two, amount, **options)
                debit(session, one, amount, **options)
        except InsufficientFunds:
            assert (shop.balance(one), shop.balance(two)) == (300, 0)
    assert (shop.balance(one), shop.balance(two)) == (0, 300)
    assert shop.differences() == []


def test_nothing_is_changed_in_place(shop: Shop) -> None:
    """History is the balance: every change of it has its entry, and entries refuse to change."""
    account = shop.account()
    shop.credit(account, 10)
    shop.debit(account, 4)
    entries = shop.all("SELECT amount FROM ledger_entries WHERE account_id = :a", a=account)
    assert sum(row[0] for row in entries) == shop.balance(account)
    for statement in ("UPDATE ledger_entries SET amount = 1", "DELETE FROM ledger_transactions"):
        with (
            pytest.raises(Exception, match="ledger"),
            shop.database.engine.begin() as connection,
        ):
            connection.exec_driver_sql(statement)
