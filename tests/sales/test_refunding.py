"""Returns: everything comes back, in any parts and any order of messages, and never more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.sales.shop import BOOK, Café
from walletsvc.core.errors import Conflict, InputError, InsufficientFunds, NotFound, Refused
from walletsvc.sales.models import Purchase, PurchaseState, Refund, RefundState

BILL = [
    {"item": "tea", "quantity": "3", "price": 3_333},
    {"item": "cake", "sum": 19_999},
]


def state(café: Café, purchase: Purchase) -> PurchaseState:
    """As it is now."""
    with café.database.read_tx() as session:
        return session.get_one(Purchase, purchase.id).state


def read(café: Café, refund: Refund) -> Refund:
    """As it is now."""
    with café.database.read_tx() as session:
        return session.get_one(Refund, refund.id)


def test_a_full_return_restores_everything(café: Café) -> None:
    """Balance, lots with their dates, certificates and turnover are as if nothing had been."""
    card, gift = café.card(), café.certificate(50_000)
    café.credit(card, 60, expires_at=café.now + timedelta(days=9))
    café.credit(card, 200, expires_at=café.now + timedelta(days=99))
    before = café.lots(card)
    made = café.buy(card, BILL, points=100, certificates=[(gift, 5_000)])
    assert café.lots(card) != before
    back = café.refund(made)
    assert (back.points_returned, back.certificates_returned, back.money) == (
        100, 5_000, made.paid_money,
    )  # fmt: skip
    assert (back.taken_back, back.shortfall) == (made.earned, 0)
    assert café.lots(card) == before
    assert (café.left(gift), café.turnover(card)) == (50_000, 0)
    assert state(café, made) is PurchaseState.REFUNDED
    assert café.clean()
    with pytest.raises(Refused):
        café.refund(made)


def test_a_return_by_lines_and_the_rest(café: Café) -> None:
    """One cup, then the cake by its sum, then everything that is left."""
    card, gift = café.card(200), café.certificate(50_000)
    before = café.lots(card)
    made = café.buy(card, BILL, points=100, certificates=[(gift, 5_000)])
    café.refund(made, lines=[{"item": "tea", "quantity": "1"}])
    assert state(café, made) is PurchaseState.PARTLY_REFUNDED
    café.refund(made, lines=[{"item": "cake", "sum": 19_999}])
    café.refund(made)
    assert café.lots(card) == before
    assert (café.left(gift), café.turnover(card)) == (50_000, 0)
    assert café.all(
        "SELECT returned_quantity = quantity, returned_sum = sum - discount FROM purchase_lines"
    ) == [(True, True), (True, True)]
    assert state(café, made) is PurchaseState.REFUNDED


def test_more_than_was_bought_is_refused(café: Café) -> None:
    """The error says how much there is; what was never bought is named."""
    made = café.buy(café.card(), BILL)
    with pytest.raises(Refused) as caught:
        café.refund(made, lines=[{"item": "tea", "quantity": "4"}])
    assert caught.value.data == {"returnable_quantity": 3_000}
    with pytest.raises(InputError) as unknown:
        café.refund(made, lines=[{"item": "coffee", "quantity": "1"}])
    assert unknown.value.fields[0].field == "lines.0.item"
    with pytest.raises(NotFound):
        café.refund(made, by=café.caller(café.partner))


def test_the_same_return_twice_is_one(café: Café) -> None:
    """The same answer; with other content it is told what differs."""
    made = café.buy(café.card(), BILL)
    first, again = café.refund(made, name="R", sum=100), café.refund(made, name="R", sum=100)
    assert first.public_id == again.public_id
    with pytest.raises(Conflict) as caught:
        café.refund(made, name="R", sum=200)
    assert caught.value.data == {"refund": first.public_id, "differs": ["sum"]}


def test_a_return_before_its_purchase_waits_for_it(café: Café) -> None:
    """Messages out of order: the return is applied in the purchase's own transaction."""
    card = café.card(100)
    early = café.refund_early("4711", lines=[{"item": "cake", "sum": 19_999}])
    assert early.state is RefundState.WAITING
    made = café.buy(card, BILL, name="4711", points=40)
    assert made.state is PurchaseState.PARTLY_REFUNDED
    done = read(café, early)
    assert (done.state, done.purchase_id) == (RefundState.DONE, made.id)
    assert done.points_returned > 0
    café.refund(made)
    assert café.available(card) == 100
    assert café.turnover(card) == 0
    assert café.clean()


def test_a_return_that_asks_for_too_much_does_not_stop_its_purchase(café: Café) -> None:
    """It is kept as refused, with the reason; the sale happened."""
    early = café.refund_early("4711", lines=[{"item": "coffee", "quantity": "1"}])
    other = café.refund_early("4711", sum=5_000)
    made = café.buy(café.card(), BILL, name="4711")
    assert read(café, early).state is RefundState.REFUSED
    assert read(café, early).outcome["problem"]["code"] == "invalid_input"
    assert read(café, other).state is RefundState.DONE
    assert made.state is PurchaseState.PARTLY_REFUNDED
    assert café.clean()


def test_a_return_after_the_tier_changed_takes_back_what_was_given(café: Café) -> None:
    """Named bug: bought as bronze at 5 %, returned as gold; 5 % is taken back, not 10."""
    card = café.card()
    first = café.buy(card, 40_000)
    café.buy(card, 80_000)
    assert café.tier(card) == "gold"
    back = café.refund(first)
    assert (first.earned, back.taken_back) == (20, 20)
    assert café.turnover(card) == 80_000
    assert café.tier(card) == "gold"  # down only by the schedule
    assert café.clean()


def test_new_rules_do_not_change_what_comes_back(café: Café) -> None:
    """Versions never mix: a return goes by what was stored with its purchase."""
    card = café.card()
    made = café.buy(card, 40_000)
    café.publish({**BOOK, "earn": {"percent_by_tier": {"bronze": "50", "gold": "50"}}})
    assert café.refund(made).taken_back == made.earned == 20
    assert café.available(card) == 0


def test_points_that_are_not_available_yet_are_taken_back(café: Café) -> None:
    """The promise ends; nothing else is touched."""
    café.publish({**BOOK, "available_after_days": 14})
    card = café.card(70)
    made = café.buy(card, 40_000)
    café.buy(card, 70_000, points=70)
    parts = [café.refund(made, sum=10_000), café.refund(made)]  # of nothing that could be spent
    assert [(each.taken_back, each.shortfall) for each in parts] == [(5, 0), (15, 0)]
    assert café.clean()


@pytest.mark.parametrize("policy", ["within_balance", "into_debt", "refuse"])
def test_what_was_earned_and_spent_meanwhile(café: Café, policy: str) -> None:
    """Take what is there and note the shortfall, go into debt as far as allowed, or refuse."""
    café.publish({**BOOK, "take_back": policy})
    card = café.card()
    with café.database.write_tx() as session:
        session.connection().exec_driver_sql(
            f"UPDATE accounts SET min_balance = -5 WHERE id = {card.account_id}"
        )
    made = café.buy(card, 40_000)
    café.buy(card, 3_000, points=15)
    assert café.available(card) == 5
    if policy == "refuse":
        with pytest.raises(InsufficientFunds):
            café.refund(made)
        assert state(café, made) is PurchaseState.RECORDED
        return
    back = café.refund(made)
    taken = {"within_balance": 5, "into_debt": 10}[policy]
    assert (back.taken_back, back.shortfall) == (taken, 20 - taken)
    assert back.outcome["balance"] == 5 - taken
    assert café.clean()


def test_a_return_at_a_partner_settles_between_them(café: Café) -> None:
    """What was owed is owed no more."""
    card = café.card(100)
    partner = café.caller(café.partner)
    made = café.buy(card, 100_000, by=partner, points=40)
    café.refund(made, by=partner)
    owed: list[tuple[Any, ...]] = café.all(
        "SELECT DISTINCT sum(e.amount)::bigint FROM ledger_entries e"
        " JOIN accounts a ON a.id = e.account_id"
        " WHERE a.code = 'inter-organisation' GROUP BY a.id"
    )
    assert owed == [(0,)]
    assert café.available(card) == 100
    assert café.clean()
