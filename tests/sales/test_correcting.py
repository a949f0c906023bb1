"""Corrections: undone as a whole, recorded anew, all or nothing."""

from __future__ import annotations

import pytest

from tests.sales.shop import Café
from walletsvc.core.errors import Conflict, InsufficientFunds, Refused
from walletsvc.sales.models import Purchase, PurchaseState


def test_another_amount(café: Café) -> None:
    """Points, certificate and turnover are those of the new purchase alone."""
    card, gift = café.card(100), café.certificate(50_000)
    old = café.buy(card, 100_000, points=50, certificates=[(gift, 50_000)])
    new = café.correct(old, café.sale(card, 10_000, points=10)).purchase
    assert new.corrects_id == old.id
    assert café.available(card) == 100 - 10 + new.earned
    assert (café.left(gift), café.turnover(card)) == (50_000, 9_000)
    with café.database.read_tx() as session:
        assert session.get_one(Purchase, old.id).state is PurchaseState.CORRECTED
    assert café.clean()


def test_another_person(café: Café) -> None:
    """Who got it by mistake loses it, who bought gets it."""
    wrong, right = café.card(30), café.card(40)
    old = café.buy(wrong, 40_000, points=20)
    café.correct(old, café.sale(right, 40_000))
    assert (café.available(wrong), café.available(right)) == (30, 60)
    assert (café.turnover(wrong), café.turnover(right)) == (0, 40_000)
    assert café.clean()


def test_what_was_spent_meanwhile_comes_out_of_the_new_points(café: Café) -> None:
    """The customer gains nothing by the till's mistake."""
    card = café.card()
    old = café.buy(card, 40_000)
    café.buy(card, 4_000, points=20)
    café.correct(old, café.sale(card, 30_000))
    assert café.available(card) == 0  # 20 earned, 20 spent, 1 and 15 earned since
    assert café.clean()


def test_a_correction_twice(café: Café) -> None:
    """The same one is repeated, another one is told of the first."""
    card = café.card()
    old = café.buy(card, 40_000)
    sale = café.sale(card, 30_000)
    first, again = café.correct(old, sale, "K"), café.correct(old, sale, "K")
    assert again.repeated
    assert again.purchase.public_id == first.purchase.public_id
    with pytest.raises(Conflict) as caught:
        café.correct(old, sale, "K2")
    assert caught.value.data == {"purchase": first.purchase.public_id}
    assert café.turnover(card) == 30_000


def test_a_correction_that_cannot_be_leaves_the_old_one(café: Café) -> None:
    """All or nothing; and what came back in part cannot be corrected."""
    card = café.card()
    old = café.buy(card, 40_000)
    with pytest.raises(InsufficientFunds):
        café.correct(old, café.sale(card, 30_000, points=150))
    assert (café.available(card), café.turnover(card)) == (20, 40_000)
    café.refund(old, sum=100)
    with pytest.raises(Refused):
        café.correct(old, café.sale(card, 30_000))


def test_a_return_by_the_old_number_finds_the_new_purchase(café: Café) -> None:
    """The receipt that the customer holds still works."""
    card = café.card()
    old = café.buy(card, 40_000, name="4711")
    new = café.correct(old, café.sale(card, 30_000)).purchase
    back = café.refund_early("4711")
    assert (back.purchase_id, back.money) == (new.id, 30_000)
    assert café.clean()
