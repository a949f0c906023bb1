"""Corrections: undone as a whole, recorded anew, all or nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.sales.shop import BOOK, Café
from walletsvc.cards.models import Card
from walletsvc.core.errors import Conflict, InputError, InsufficientFunds, Refused
from walletsvc.merchants.service import create_branch
from walletsvc.programmes.rulebook.refunds import Returned
from walletsvc.sales import refunding
from walletsvc.sales.models import Purchase, PurchaseState
from walletsvc.sales.sale import Reference, Return


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


ONLINE_BOOK = {
    **BOOK,
    "promotions": [
        {
            "id": "online",
            "name": {"ru": "Онлайн", "en": "Online"},
            "when": {"channels": ["online"]},
            "effect": {"kind": "fixed", "points": 7},
        }
    ],
}


def test_another_branch(café: Café) -> None:
    """Whoever works for all branches says at which one it was; what it does not say stays."""
    café.publish(ONLINE_BOOK, café.now - timedelta(days=1))
    everywhere = replace(café.caller(), branch_id=None)
    with café.database.write_tx() as session:
        other = create_branch(session, organisation_id=café.cafe.id, name="Вторая", now=café.now)
    card, branch = café.card(), café.branch.public_id
    old = café.buy(card, 40_000, by=everywhere, branch=branch, channel="online")
    assert old.earned == 27

    sale = café.sale(card, 20_000)
    cheaper = café.correct(old, sale, "K", everywhere).purchase
    assert (cheaper.branch_id, cheaper.channel) == (café.branch.id, "online")
    assert cheaper.earned == 17
    assert café.correct(old, sale, "K", everywhere).repeated

    moved = café.correct(
        cheaper, café.sale(card, 20_000, branch=other.public_id), by=everywhere
    ).purchase
    assert (moved.branch_id, moved.channel, moved.earned) == (other.id, "online", 17)
    at_till = café.correct(moved, café.sale(card, 20_000, channel="till"), by=everywhere).purchase
    assert (at_till.branch_id, at_till.channel, at_till.earned) == (other.id, "till", 10)
    assert café.available(card) == 10
    assert café.clean()


def test_a_till_corrects_within_its_own_branch(café: Café) -> None:
    """Its key says where it stands."""
    with café.database.write_tx() as session:
        other = create_branch(session, organisation_id=café.cafe.id, name="Вторая", now=café.now)
    card = café.card()
    old = café.buy(card, 40_000)
    with pytest.raises(InputError, match="branch_id"):
        café.correct(old, café.sale(card, 40_000, branch=other.public_id))
    elsewhere = replace(café.caller(), branch_id=other.id)
    assert café.correct(old, café.sale(card, 40_000), by=elsewhere).purchase.branch_id == other.id


def test_what_was_spent_meanwhile_comes_out_of_the_new_points(café: Café) -> None:
    """The customer gains nothing by the till's mistake."""
    card = café.card()
    old = café.buy(card, 40_000)
    café.buy(card, 4_000, points=20)
    café.correct(old, café.sale(card, 30_000))
    assert café.available(card) == 0  # 20 earned, 20 spent, 1 and 15 earned since
    assert café.clean()


@pytest.mark.parametrize("days", [0, 14])
def test_rules_that_refuse_let_a_correction_earn_more(café: Café, days: int) -> None:
    """Named bug: earned 20, spent them, and the till had forgotten an item."""
    café.publish({**BOOK, "take_back": "refuse"})
    card = café.card()
    old = café.buy(card, 40_000)
    café.buy(card, 4_000, points=20)
    assert café.available(card) == 1
    with pytest.raises(InsufficientFunds):
        café.correct(old, café.sale(card, 30_000))
    with pytest.raises(InsufficientFunds):
        café.correct(old, café.sale(café.card(), 60_000))
    with pytest.raises(InsufficientFunds):
        café.refund(old)
    with café.database.read_tx() as session:
        assert session.get_one(Purchase, old.id).state is PurchaseState.RECORDED
    if days:
        café.publish({**BOOK, "take_back": "refuse", "available_after_days": days}, café.now)
        new = café.correct(old, café.sale(card, 60_000, at=café.now)).purchase
    else:
        new = café.correct(old, café.sale(card, 60_000)).purchase
        assert café.available(card) == 1 + 30 - 20
    assert new.earned == 30
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


def test_what_paid_and_has_ended_since_does_not_pay_again(café: Café) -> None:
    """As the manual says; the purchase stays as it was, and a return of the difference goes."""
    soon = café.now + timedelta(days=1)
    card = café.card(100, expires_at=soon)
    old = café.buy(card, 30_000, points=100)
    café.now = soon + timedelta(days=1)
    with pytest.raises(InsufficientFunds):
        café.correct(old, café.sale(card, 29_000, points=100))
    with café.database.read_tx() as session:
        assert session.get_one(Purchase, old.id).state is PurchaseState.RECORDED
    back = café.refund(old, sum=1_000)
    assert (back.money, back.points_returned) == (667, 3)  # as it was paid
    assert café.clean()


def test_a_return_by_the_old_number_finds_the_new_purchase(café: Café) -> None:
    """The receipt that the customer holds still works."""
    card = café.card()
    old = café.buy(card, 40_000, name="4711")
    new = café.correct(old, café.sale(card, 30_000)).purchase
    back = café.refund_early("4711")
    assert (back.purchase_id, back.money) == (new.id, 30_000)
    assert café.clean()


def test_it_earns_by_the_tier_without_the_mistake(café: Café) -> None:
    """A zero too many makes nobody gold, and the tier does not go up and down on the way."""
    card = café.card()
    old = café.buy(card, 500_000)
    assert café.tier(card) == "gold"
    new = café.correct(old, café.sale(card, 50_000)).purchase
    assert (new.tier_before, new.earned, café.tier(card)) == ("bronze", 25, "bronze")
    assert café.buy(card, 10_000).earned == 5
    assert changes(café, card) == [("bronze", "gold"), ("gold", "bronze")]
    assert café.clean()


def test_a_tier_that_the_right_purchase_reaches_stays(café: Café) -> None:
    """Also in a second correction, which finds the tier of before the first mistake."""
    card = café.card()
    first = café.correct(café.buy(card, 500_000), café.sale(card, 400_000)).purchase
    assert (first.tier_before, first.earned, café.tier(card)) == ("bronze", 200, "gold")
    assert changes(café, card) == [("bronze", "gold")]
    second = café.correct(first, café.sale(card, 40_000)).purchase
    assert (second.tier_before, second.earned, café.tier(card)) == ("bronze", 20, "bronze")
    assert café.clean()


def test_the_tier_of_the_wrong_person_is_taken_back(café: Café) -> None:
    """Who bought has it instead; what both bought before counts as ever."""
    wrong, right = café.card(), café.card()
    café.buy(wrong, 60_000)
    old = café.buy(wrong, 500_000)
    new = café.correct(old, café.sale(right, 500_000)).purchase
    assert (new.tier_before, new.earned) == ("bronze", 250)
    assert (café.tier(wrong), café.tier(right)) == ("bronze", "gold")
    assert café.buy(wrong, 10_000).earned == 5
    assert café.clean()


def test_a_tier_that_another_purchase_reached_with_the_help_of_the_mistake(café: Café) -> None:
    """It goes as well; one that was reached without it stays, even when that came back since."""
    helped, earned = café.card(), café.card()
    for card, real in ((helped, 20_000), (earned, 200_000)):
        old = café.buy(card, 90_000)
        bought = café.buy(card, real)
        assert café.tier(card) == "gold"
        if card is earned:
            café.refund(bought)
        café.correct(old, café.sale(card, 10_000))
    assert (café.tier(helped), café.tier(earned)) == ("bronze", "gold")
    assert café.clean()


def test_a_tier_from_before_the_mistake_stays(café: Café) -> None:
    """A correction takes nothing else; and a return leaves the tier to the regular check."""
    card = café.card()
    café.refund(café.buy(card, 200_000))
    assert (café.tier(card), café.turnover(card)) == ("gold", 0)
    new = café.correct(café.buy(card, 40_000), café.sale(card, 30_000)).purchase
    assert (new.tier_before, new.earned, café.tier(card)) == ("gold", 30, "gold")


def test_without_a_time_it_was_when_the_old_one_was(café: Café) -> None:
    """The day, the rules and the turnover are those of the sale; repeated it is the same."""
    card, at = café.card(), café.now - timedelta(days=3)
    old = café.buy(card, 40_000, at=at)
    café.publish({**BOOK, "earn": {"percent": "50"}})
    sale = café.sale(card, 30_000)
    new = café.correct(old, sale, "K").purchase
    assert (new.at, new.earned) == (old.at, 15)
    assert café.correct(old, sale, "K").repeated
    days = café.all("SELECT day, amount FROM turnover WHERE amount > 0")
    assert days == [(at.astimezone(ZoneInfo(café.programme.time_zone)).date(), 30_000)]
    later = café.correct(new, café.sale(card, 30_000, at=café.now)).purchase
    assert (later.at, later.earned) == (café.now, 150)
    assert café.clean()


def test_the_source_of_corrections_is_nobody_elses(café: Café) -> None:
    """A return under it would stand in the way of the correction's own."""
    card = café.card()
    old = café.buy(card, 40_000)
    with café.database.write_tx() as session, pytest.raises(InputError) as caught:
        refunding.refund_by_reference(
            session,
            café.caller(),
            Reference("pos", "nope"),
            Reference("correction", old.public_id),
            Return(Returned(sum=1), "test"),
            café.now,
        )
    assert [wrong.field for wrong in caught.value.fields] == ["source"]
    café.correct(old, café.sale(card, 30_000))


def test_a_late_message_earns_by_the_tier_of_its_time(café: Café) -> None:
    """The order in which messages come makes no difference."""
    in_order, late = café.card(), café.card()
    before = café.now - timedelta(days=3)
    first = café.buy(in_order, 10_000, at=before)
    café.buy(in_order, 200_000)
    café.buy(late, 200_000)
    second = café.buy(late, 10_000, at=before)
    assert (first.earned, second.earned, second.tier_before) == (5, 5, "bronze")
    assert café.buy(late, 10_000).earned == 10


def test_a_queue_of_late_messages(café: Café) -> None:
    """A tier counts from when it was bought, not from when that was reported."""
    card, before = café.card(), café.now - timedelta(days=3)
    café.buy(card, 200_000, at=before)
    assert café.buy(card, 10_000, at=before + timedelta(hours=1)).earned == 10


def changes(café: Café, card: Card) -> list[tuple[str, str]]:
    """The tiers that the card went through."""
    return [
        (str(before), str(after))
        for before, after in café.all(
            "SELECT from_tier, to_tier FROM tier_changes WHERE account_id = :id ORDER BY id",
            id=card.account_id,
        )
    ]
