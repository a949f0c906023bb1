"""Stamp cards and discount cards, from the scan to the return."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sales.rehearsals import tried
from tests.sales.shop import Café
from walletsvc.cards.models import Card
from walletsvc.core.errors import InputError, InsufficientFunds, Refused
from walletsvc.merchants import groups
from walletsvc.programmes.service import create_discount_programme, create_stamps_programme
from walletsvc.sales.models import Purchase
from walletsvc.sales.quoting import most_points
from walletsvc.sales.receipts import printed
from walletsvc.sales.scanning import scan

STAMPS: dict[str, Any] = {
    "earn": {"percent": "0"},
    "promotions": [
        {
            "id": "coffee",
            "name": {"ru": "Кофе", "en": "Coffee"},
            "when": {"item_groups": ["coffee"]},
            "effect": {"kind": "stamps", "count": 1, "per": "unit"},
        }
    ],
    "stamp_card": {
        "stamps": 6,
        "reward": {
            "name": {"ru": "Шестой кофе", "en": "Sixth coffee"},
            "item_groups": ["coffee"],
        },
    },
}
DISCOUNT: dict[str, Any] = {
    "earn": {"percent": "0"},
    "tiers": [
        {"code": "guest", "name": {"ru": "Гость", "en": "Guest"}, "threshold": 0},
        {"code": "friend", "name": {"ru": "Друг", "en": "Friend"}, "threshold": 100_000},
    ],
    "promotions": [
        {
            "id": code,
            "name": {"ru": code, "en": code},
            "when": {"tiers": [code]},
            "effect": {"kind": "discount", "percent": percent},
        }
        for code, percent in (("guest", "3"), ("friend", "7.5"))
    ],
}


def coffee(pieces: int = 1, price: int = 25_000) -> dict[str, Any]:
    """A line of so many cups."""
    return {"item": "latte", "group": "coffee", "price": price, "quantity": str(pieces)}


FIXED = {**STAMPS["promotions"][0], "effect": {"kind": "fixed", "points": 5}}
BUN = {"item": "bun", "price": 9_999}


@pytest.fixture
def stamps(café: Café) -> Café:
    """The café, with stamps in place of points."""
    with café.database.write_tx() as session:
        café.programme = create_stamps_programme(
            session, organisation_id=café.cafe.id, slug="stamps", name="Кофе", now=café.now
        )
    café.publish(STAMPS)
    return café


@pytest.fixture
def discount(café: Café) -> Café:
    """The café, with a discount in place of points."""
    with café.database.write_tx() as session:
        café.programme = create_discount_programme(
            session, organisation_id=café.cafe.id, slug="discount", name="Скидка", now=café.now
        )
    café.publish(DISCOUNT)
    return café


def text(made: Purchase) -> list[str]:
    """The receipt's lines below card and phone."""
    sums = {
        "discount": made.discount,
        "earned": made.earned,
        "stamps": made.stamps,
        "points": made.paid_points,
    }
    block = printed(made.receipt, sums, currency="RUB", language="ru", width=32)
    return [" ".join(line.split()) for line in block.splitlines()[2:]]


def state(café: Café, made: Purchase) -> str:
    """The state of a purchase now."""
    return str(café.all("SELECT state FROM purchases WHERE id = :id", id=made.id)[0][0])


def scanned(café: Café, card: Card) -> tuple[int, Any]:
    """What a scan says may be spent, and the stamps as people count them."""
    with café.database.read_tx() as session:
        found = scan(session, café.caller(), card.number, café.now)
    return found.available, found.stamps and tuple(found.stamps)


def test_a_card_fills_and_what_is_left_over_is_on_the_next(stamps: Café) -> None:
    """Stamps are counted past a full card; nothing is lost and nothing is given twice."""
    card = stamps.card()
    assert scanned(stamps, card) == (0, (0, 6, 0))
    made = stamps.buy(card, [coffee(4), BUN])
    assert (made.stamps, made.earned) == (4, 0)
    assert text(made) == ["Начислено штампов 4", "Штампов на карте 4 из 6"]
    made = stamps.buy(card, [coffee(4)])
    assert text(made) == ["Начислено штампов 4", "Штампов на карте 2 из 6", "Наград к получению 1"]
    assert scanned(stamps, card) == (8, (2, 6, 1))
    assert stamps.clean()


def test_a_full_card_buys_a_coffee(stamps: Café) -> None:
    """The quote says how many stamps can be used; the free cup brings no stamp of its own."""
    card = stamps.card(8)
    sale = stamps.sale(card, [coffee(2), BUN], points=6)
    asked = stamps.quote(stamps.sale(card, [coffee(2), BUN]))
    assert (most_points(asked), asked.outcome.stamps) == (6, 2)
    quoted = stamps.quote(sale).outcome
    made = stamps.record(sale).purchase
    assert (quoted.discount, quoted.stamps, quoted.money) == (25_000, 1, 34_999)
    assert (made.discount, made.stamps, made.paid_money) == (25_000, 1, 34_999)
    assert (made.paid_points, made.paid_points_money) == (6, 0)
    assert text(made) == [
        "Скидка 250,00 ₽",
        "Использовано штампов 6",
        "Начислено штампов 1",
        "Штампов на карте 3 из 6",
    ]
    assert stamps.clean()


def test_stamps_that_are_not_there_buy_nothing(stamps: Café) -> None:
    """Neither part of a card, nor more than the card or the bill has."""
    card = stamps.card(8)
    with pytest.raises(Refused):
        stamps.buy(card, [coffee()], points=5)
    with pytest.raises(Refused):
        stamps.buy(card, [BUN], points=6)
    with pytest.raises(InsufficientFunds):
        stamps.buy(card, [coffee(2)], points=12)
    assert most_points(stamps.quote(stamps.sale(card, [coffee(3)]))) == 6
    assert stamps.available(card) == 8


def test_a_return_gives_the_stamps_back_and_takes_the_earned_ones(stamps: Café) -> None:
    """The free cup alone, then the paid one: in the end everything is as before."""
    card = stamps.card(7)
    free = {"item": "espresso", "group": "coffee", "price": 15_000}
    made = stamps.buy(card, [free, coffee()], points=6)
    assert (made.discount, made.stamps, stamps.available(card)) == (15_000, 1, 2)
    back = stamps.refund(made, lines=[{"item": "espresso", "group": "coffee", "quantity": "1"}])
    assert (back.money, back.points_returned, back.taken_back) == (0, 6, 0)
    assert stamps.available(card) == 8
    back = stamps.refund(made, lines=[{"item": "latte", "group": "coffee", "quantity": "1"}])
    assert (back.money, back.points_returned, back.taken_back) == (25_000, 0, 1)
    assert stamps.available(card) == 7
    assert stamps.clean()


def test_two_free_cups_come_back_one_by_one(stamps: Café) -> None:
    """What has no price comes back by the piece."""
    card = stamps.card(12)
    made = stamps.buy(card, [coffee(2)], points=12)
    line = {"item": "latte", "group": "coffee", "quantity": "1"}
    assert stamps.refund(made, lines=[line]).points_returned == 6
    assert stamps.refund(made, lines=[line]).points_returned == 6
    assert (stamps.available(card), state(stamps, made)) == (12, "refunded")


def test_the_whole_sum_brings_the_free_cup_back_too(stamps: Café) -> None:
    """A till that returns by sum cannot name what cost nothing."""
    card = stamps.card(6)
    free = {"item": "espresso", "group": "coffee", "price": 15_000}
    made = stamps.buy(card, [free, coffee()], points=6)
    assert stamps.refund(made, sum=10_000).points_returned == 0
    assert stamps.refund(made, sum=15_000).points_returned == 6
    assert stamps.available(card) == 6
    assert stamps.clean()


def test_stamps_that_were_used_since_cannot_be_taken_back(stamps: Café) -> None:
    """What is missing is said; the card does not go below nothing."""
    card = stamps.card(3)
    first = stamps.buy(card, [coffee(3)])
    stamps.buy(card, [coffee(1)], points=6)
    back = stamps.refund(first)
    assert (back.money, back.taken_back, back.shortfall) == (75_000, 0, 3)
    assert stamps.available(card) == 0
    assert stamps.clean()


def test_a_correction_leaves_the_stamps_of_the_right_purchase(stamps: Café) -> None:
    """Five cups were one."""
    card = stamps.card()
    made = stamps.buy(card, [coffee(5)])
    stamps.correct(made, stamps.sale(card, [coffee(1)]))
    assert stamps.available(card) == 1
    assert stamps.clean()


def test_a_rehearsal_counts_stamps(stamps: Café) -> None:
    """Other rules tried on what was bought: two for each cup."""
    card = stamps.card(6)
    stamps.buy(card, [coffee(3)], points=6)
    effect = {"kind": "stamps", "count": 2, "per": "unit"}
    two = {**STAMPS, "promotions": [{**STAMPS["promotions"][0], "effect": effect}]}
    totals = tried(stamps, two)["totals"]
    assert (totals["stamps_before"], totals["stamps_after"], totals["won"]) == (2, 4, 2)
    assert (totals["discount_before"], totals["discount_after"]) == (25_000, 25_000)


def test_a_discount_card_takes_its_percent_off_each_line(discount: Café) -> None:
    """By tier, to the kopeck; the receipt says nothing of points."""
    card = discount.card()
    made = discount.buy(card, [BUN, {"item": "cake", "price": 110_005}])
    assert (made.discount, made.paid_money, made.earned) == (3_600, 116_404, 0)
    assert discount.all("SELECT item, discount FROM purchase_lines ORDER BY position") == [
        ("bun", 300),
        ("cake", 3_300),
    ]
    assert text(made) == ["Скидка 36,00 ₽"]
    assert (made.tier_before, made.tier_after) == ("guest", "friend")
    assert discount.buy(card, [BUN]).discount == 750
    assert discount.available(card) == 0
    assert discount.all("SELECT count(*) FROM ledger_transactions") == [(0,)]


def test_a_return_of_a_line_gives_back_what_was_paid_for_it(discount: Café) -> None:
    """Not its price; and all lines together give back all that was paid."""
    card = discount.card()
    made = discount.buy(card, [BUN, {"item": "cup", "price": 3_333, "quantity": "3"}])
    paid = {"bun": 9_699, "cup": 9_699}
    assert made.paid_money == sum(paid.values())
    back = discount.refund(made, lines=[{"item": "bun", "quantity": "1"}])
    assert back.money == paid["bun"]
    money = [
        discount.refund(made, lines=[{"item": "cup", "quantity": "1"}]).money for _ in range(3)
    ]
    assert (money, sum(money)) == ([3_233, 3_233, 3_233], paid["cup"])
    base = "SELECT sum(amount)::bigint FROM turnover"
    assert (discount.all(base), state(discount, made)) == ([(0,)], "refunded")


def test_a_group_of_branches_has_a_discount_of_its_own(discount: Café) -> None:
    """A condition of the rules, looked up for the branch of the sale."""
    with discount.database.write_tx() as session:
        group = groups.create_branch_group(
            session,
            organisation_id=discount.cafe.id,
            slug="airport",
            name="Аэропорт",
            now=discount.now,
        )
    when = {"tiers": ["guest"], "branch_groups": ["airport"]}
    first = {**DISCOUNT["promotions"][0], "when": when}
    discount.publish({**DISCOUNT, "promotions": [first]})
    card = discount.card()
    assert discount.buy(card, [BUN]).discount == 0
    with discount.database.write_tx() as session:
        groups.add_branch(session, group, discount.branch)
    assert discount.buy(card, [BUN]).discount == 300


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("stamps", {"earn": {"percent": "5"}}, "earn.percent"),
        ("stamps", {"promotions": [FIXED]}, "promotions.0.effect.kind"),
        ("discount", {"earn": {"percent_by_tier": {"guest": "0", "friend": "1"}}},
         "earn.percent_by_tier.friend"),
        ("discount", {"promotions": STAMPS["promotions"]}, "promotions.0.effect.kind"),
        ("discount", {"stamp_card": STAMPS["stamp_card"]}, "stamp_card"),
        ("discount", {"spend": {"max_share_percent": "10"}}, "spend.max_share_percent"),
        ("points", {"promotions": STAMPS["promotions"]}, "promotions.0.effect.kind"),
        ("points", {"stamp_card": STAMPS["stamp_card"]}, "stamp_card"),
    ],
)  # fmt: skip
def test_rules_give_nothing_that_the_programme_cannot_count(
    kind: str, change: dict[str, Any], field: str, request: pytest.FixtureRequest
) -> None:
    """Points of a discount card would be promised and kept by nobody: the draft names them."""
    café: Café = request.getfixturevalue("café" if kind == "points" else kind)
    book = {"stamps": STAMPS, "discount": DISCOUNT, "points": {"earn": {"percent": "5"}}}[kind]
    with pytest.raises(InputError) as wrong:
        café.publish({**book, **change})
    assert [each.field for each in wrong.value.fields] == [field]
