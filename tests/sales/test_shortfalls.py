"""What a return could not take back is taken from points that come back later."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.sales.shop import BOOK, Café
from walletsvc.cards.groups import service as groups
from walletsvc.jobs.events import PurchaseRefunded, carried
from walletsvc.programmes.rulebook.refunds import Returned
from walletsvc.sales import refunding
from walletsvc.sales.models import Refund
from walletsvc.sales.sale import Reference, Return

LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
POLICIES = ["within_balance", "into_debt"]


def stands(café: Café, refund: Refund) -> tuple[int, int, int]:
    """What it took back, what it still could not, what it took for others; as they are now."""
    with café.database.read_tx() as session:
        row = session.get_one(Refund, refund.id)
        recovered = sum(each["amount"] for each in row.outcome["recovered"])
        return row.taken_back, row.shortfall, recovered


@pytest.mark.parametrize("policy", POLICIES)
def test_points_of_a_returned_purchase_are_not_kept_by_the_order_of_returns(
    café: Café, policy: str
) -> None:
    """Named bug: buy, pay with what it earned, return the first, return the second."""
    café.publish({**BOOK, "take_back": policy})
    card = café.card()
    for _ in range(2):
        first = café.buy(card, 90_000)
        second = café.buy(card, 9_000, points=45)
        back = café.refund(first)
        assert stands(café, back) == (2, 43, 0)
        last = café.refund(second)
        assert (stands(café, back), stands(café, last)) == ((45, 0, 0), (2, 0, 43))
        assert last.outcome["balance"] == 0
        assert (café.available(card), café.turnover(card)) == (0, 0)
    assert café.clean()


def test_the_oldest_shortfall_first_and_in_parts(café: Café) -> None:
    """Each part of a return that gives points back makes up for so much, once."""
    card = café.card()
    bought = [café.buy(card, 20_000), café.buy(card, 40_000)]
    paid = café.buy(card, 6_000, points=30)
    backs = [café.refund(each) for each in bought]
    assert [stands(café, each) for each in backs] == [(1, 9, 0), (0, 20, 0)]
    café.refund(paid, sum=3_000)
    assert sum(stands(café, each)[1] for each in backs) == 14
    assert stands(café, backs[0])[:2] == (10, 0)
    café.refund(paid)
    assert [stands(café, each)[:2] for each in backs] == [(10, 0), (20, 0)]
    assert (café.available(card), café.turnover(card)) == (0, 0)
    assert café.clean()


def test_no_more_is_taken_than_came_back(café: Café) -> None:
    """What the customer earned since stays theirs while that purchase does."""
    card = café.card()
    first = café.buy(card, 40_000)
    second = café.buy(card, 2_000, points=10)
    café.buy(card, 2_000, points=10)
    back = café.refund(first)
    assert stands(café, back) == (0, 20, 0)
    café.credit(card, 100)
    café.refund(second)
    assert stands(café, back) == (10, 10, 0)
    assert café.available(card) == 100
    assert café.clean()


def test_a_partner_returns_what_the_shop_could_not_take(café: Café) -> None:
    """The account is one wherever it was bought; nobody owes anybody afterwards."""
    card, partner = café.card(), café.caller(café.partner)
    first = café.buy(card, 90_000)
    second = café.buy(card, 9_000, points=45, by=partner)
    back = café.refund(first)
    café.refund(second, by=partner)
    assert stands(café, back)[:2] == (45, 0)
    assert café.available(card) == 0
    assert café.clean()


def test_a_group_makes_up_for_what_a_member_owed_before(café: Café) -> None:
    """The value is where the account went."""
    card, other = café.card(), café.card()
    first = café.buy(card, 90_000)
    second = café.buy(card, 9_000, points=45)
    back = café.refund(first)
    with café.database.write_tx() as session:
        groups.approve(session, card, other, reason="t", actor=café.caller().actor, now=café.now)
    café.refund(second)
    assert stands(café, back)[:2] == (45, 0)
    assert café.available(other) == 0
    assert café.clean()


def test_a_correction_makes_up_only_with_points_that_it_does_not_need(café: Café) -> None:
    """The right purchase may be paid as the wrong one was; with less, the rest is taken."""
    card = café.card()
    first = café.buy(card, 90_000)
    wrong = café.buy(card, 9_000, points=45)
    back = café.refund(first)
    café.credit(card, 2)
    again = café.correct(wrong, café.sale(card, 9_100, points=45)).purchase
    assert stands(café, back)[:2] == (2, 43)
    last = café.correct(again, café.sale(card, 9_100, points=15)).purchase
    assert stands(café, back)[:2] == (32, 13)
    assert café.available(card) == last.earned == 3
    assert café.clean()


def test_a_return_that_was_told_early_makes_up_too(café: Café) -> None:
    """It waits for its purchase and is taken with it; the event says what it made up for."""
    card = café.card()
    first = café.buy(card, 90_000)
    second = café.buy(card, 9_000, points=45)
    back = café.refund(first)
    café.credit(card, 30)
    café.refund_early("late")
    café.buy(card, 6_000, points=30, name="late")
    assert stands(café, back) == (32, 13, 0)
    heard: list[PurchaseRefunded] = []
    with café.database.write_tx() as session:
        session.info.update(carried({PurchaseRefunded: (lambda _, event: heard.append(event),)}))
        refunding.refund(
            session, café.caller(), second.public_id, Reference("pos", "last"),
            Return(Returned(), "test"), café.now,
        )  # fmt: skip
    assert [(each.recovered, each.shortfall) for each in heard] == [(13, 0)]
    assert café.available(card) == 45 - 2 - 13
    assert café.clean()


def test_purchases_paid_with_each_others_points_come_back_in_any_order(café: Café) -> None:
    """Exactly the lots that were there before, and no turnover."""
    purchase = st.tuples(st.integers(1_000, 60_000), st.floats(0, 1, allow_nan=False))
    moment = [café.now - timedelta(days=1)]

    @settings(
        max_examples=300 if LONG else 10,
        derandomize=not LONG,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(
        policy=st.sampled_from(POLICIES), start=st.sampled_from([0, 0, 7, 300]),
        bills=st.lists(purchase, min_size=2, max_size=6), data=st.data(),
    )  # fmt: skip
    def scenario(policy: str, start: int, bills: list[tuple[int, float]], data: Any) -> None:
        moment[0] += timedelta(seconds=10)
        café.publish({**BOOK, "take_back": policy}, moment[0])
        card = café.card(start, expires_at=café.now + timedelta(days=5))
        before = café.lots(card)
        made = []
        for total, part in bills:
            points = int(min(café.available(card), total // 200) * part)
            made.append(café.buy(card, total, points=points))
        backs = []
        for each in data.draw(st.permutations(made)):
            cut = data.draw(st.integers(0, each.total))
            if 0 < cut < each.total:
                backs.append(café.refund(each, sum=cut))
        backs += [café.refund(each) for each in data.draw(st.permutations(made))]
        assert sum(stands(café, each)[1] for each in backs) == 0
        assert (café.lots(card), café.turnover(card)) == (before, 0)

    scenario()
    assert café.clean()
