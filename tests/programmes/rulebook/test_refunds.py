"""Returns give back and take back exactly, in any number of parts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.programmes.rulebook.strategies import HOW_MANY, ZONE, basket, occasion
from tests.programmes.rulebook.test_properties import Bill, outcome_of, purchases
from walletsvc.core.errors import InputError, Refused
from walletsvc.programmes.rulebook.amounts import apportioned
from walletsvc.programmes.rulebook.basket import Occasion
from walletsvc.programmes.rulebook.evaluate import evaluate
from walletsvc.programmes.rulebook.outcome import Outcome
from walletsvc.programmes.rulebook.refunds import Part, Returned, Share, share
from walletsvc.programmes.rulebook.schemas import RuleBook

BOOK = RuleBook.model_validate(
    {
        "earn": {"percent": "5"},
        "spend": {"max_share_percent": "50"},
        "promotions": [
            {
                "id": "stamp",
                "name": {"ru": "Штамп", "en": "Stamp"},
                "effect": {"kind": "stamps", "count": 1, "per": "unit"},
            }
        ],
    }
)
SUMMED = ("net", "points", "points_money", "money", "earned", "stamps", "turnover")
BILL = [
    {"item": "cup", "price": 33_334, "quantity": "3"},
    {"item": "bun", "price": 9_999},
]


def bought(**more: Any) -> Outcome:
    """Three cups and a bun, 1 100.01, as stored with the purchase."""
    outcome = evaluate(BOOK, basket(BILL), occasion(**more), zone=ZONE)
    return Outcome.model_validate_json(outcome.model_dump_json())


def returned(*lines: dict[str, Any], **more: Any) -> Returned:
    """What comes back."""
    return Returned.model_validate({**({"lines": lines} if lines else {}), **more})


def test_everything_comes_back_at_once() -> None:
    """Without a word about what, all that is left."""
    outcome = bought(paid_with_points=500)
    back = share(outcome, returned())
    assert back.total == Part(
        milli=4_000,
        net=110_001,
        points=500,
        points_money=50_000,
        money=60_001,
        earned=30,
        stamps=4,
        turnover=60_001,
    )
    assert share(outcome, returned(), [back]).total == Part()


def test_one_cup_of_three() -> None:
    """A third of what the cups cost and earned; the bun keeps its part."""
    outcome = bought()
    first = share(outcome, returned({"item": "cup", "quantity": "1"}))
    assert (first.total.money, first.total.milli, first.total.stamps) == (33_334, 1_000, 1)
    assert first.total.earned == outcome.lines[1].earned // 3
    second = share(outcome, returned({"item": "cup", "quantity": "2"}), [first])
    assert first.total.earned + second.total.earned == outcome.lines[1].earned
    assert first.total.stamps + second.total.stamps == 3


def test_each_certificate_gets_its_own_back() -> None:
    """A return knows which certificate paid how much of the item."""
    gifts = [{"id": "big", "amount": 60_000}, {"id": "small", "amount": 30_000}]
    outcome = bought(paid_with_certificates=gifts)
    half = share(outcome, returned(sum=55_000))
    assert half.total.money + sum(tender.amount for tender in half.certificates) == 55_000
    assert [tender.id for tender in half.certificates] == ["big", "small"]
    rest = share(outcome, returned(), [half])
    both = [a.amount + b.amount for a, b in zip(half.certificates, rest.certificates, strict=True)]
    assert both == [60_000, 30_000]


def test_a_return_of_a_sum_takes_from_every_item() -> None:
    """Where the till only knows the sum, it is spread in proportion."""
    half = share(bought(), returned(sum=55_000))
    assert [part.net for part in half.lines] == [4_999, 50_001]
    assert half.total.milli == 0


def test_what_costs_next_to_nothing_still_has_its_quantity() -> None:
    """Three bags for a kopeck come back one by one, the kopeck with the first that rounds to it."""
    book = RuleBook.model_validate({"earn": {"percent": "5"}})
    bags = basket([{"item": "bag", "sum": 1, "quantity": "3"}])
    outcome = evaluate(book, bags, occasion(), zone=ZONE)
    shares: list[Share] = []
    for _ in range(3):
        shares.append(share(outcome, returned({"item": "bag", "quantity": "1"}), shares))
    assert [each.total.net for each in shares] == [0, 1, 0]
    assert [each.total.milli for each in shares] == [1_000, 1_000, 1_000]


def test_an_item_may_come_back_on_several_lines() -> None:
    """By sum and by quantity; when its whole sum came back, no quantity of it is left."""
    twice = returned({"item": "cup", "sum": 33_334}, {"item": "cup", "quantity": "3"})
    back = share(bought(), twice)
    assert (back.total.net, back.total.milli, back.total.stamps) == (100_002, 3_000, 3)
    with pytest.raises(Refused) as refused:
        share(bought(), returned({"item": "cup", "sum": 100_002}, {"item": "cup", "quantity": 1}))
    assert refused.value.data == {"returnable_quantity": 0}


def test_one_by_one_comes_to_what_all_at_once_does() -> None:
    """Seven pens that earned three points: rounding each return must not favour the customer."""
    book = RuleBook.model_validate({"earn": {"percent": "5"}, "spend": {"max_share_percent": "50"}})
    pens = basket([{"item": "pen", "sum": 10_010, "quantity": "7"}])
    outcome = evaluate(book, pens, occasion(paid_with_points=33), zone=ZONE)
    assert outcome.earned == 3
    six = share(outcome, returned({"item": "pen", "quantity": "6"}))
    shares: list[Share] = []
    for _ in range(6):
        shares.append(share(outcome, returned({"item": "pen", "quantity": "1"}), shares))
    for name in SUMMED:
        assert sum(getattr(each.total, name) for each in shares) == getattr(six.total, name), name
    assert (six.total.earned, six.total.points) == (2, 28)


@HOW_MANY
@given(purchases(), st.lists(st.integers(1, 5_000), min_size=1, max_size=8))
def test_parts_of_an_item_come_to_one_return_of_them_all(
    purchase: tuple[RuleBook, Bill, Occasion, int], steps: list[int]
) -> None:
    """By quantity or by sum: whatever is given back and taken back, to the last unit."""
    outcome = outcome_of(purchase)
    for line in outcome.lines:
        item = {"item": line.item, "group": line.group}
        for unit, most in (("quantity", line.milli), ("sum", line.net)):
            shares: list[Share] = []
            gone = 0
            for step in steps:
                if gone + step > most:
                    break
                gone += step
                part = f"{step / 1000:.3f}" if unit == "quantity" else step
                shares.append(share(outcome, returned(item | {unit: part}), shares))
            if gone:
                part = f"{gone / 1000:.3f}" if unit == "quantity" else gone
                once = share(outcome, returned(item | {unit: part})).total
                for name in SUMMED:
                    assert sum(getattr(each.total, name) for each in shares) == getattr(once, name)
                each_gift = zip(*(each.total.certificates for each in shares), strict=True)
                assert tuple(map(sum, each_gift)) == once.certificates


@given(st.lists(st.integers(0, 60), min_size=1, max_size=7), st.data())
def test_a_larger_amount_never_gives_a_smaller_part(
    weights: list[int], data: st.DataObject
) -> None:
    """Otherwise a second return would want something back that the first gave."""
    amount = data.draw(st.integers(0, sum(weights)))
    parts = apportioned(amount, weights)
    assert sum(parts) == amount
    assert all(part <= weight for part, weight in zip(parts, weights, strict=True))
    if amount < sum(weights):
        more = apportioned(amount + 1, weights)
        assert all(a <= b for a, b in zip(parts, more, strict=True))


@pytest.mark.parametrize(
    ("what", "data"),
    [
        (returned({"item": "cup", "quantity": "4"}), {"returnable_quantity": 3_000}),
        (returned({"item": "cup", "sum": 100_003}), {"returnable": 100_002}),
        (returned(sum=110_002), {"returnable": 110_001}),
        (
            returned({"item": "cup", "quantity": "2"}, {"item": "cup", "quantity": "2"}),
            {"returnable_quantity": 1_000},
        ),
    ],
)
def test_more_than_was_bought_is_refused(what: Returned, data: dict[str, int]) -> None:
    """With what is left to return."""
    with pytest.raises(Refused) as refused:
        share(bought(), what)
    assert refused.value.data == data


def test_what_was_not_bought_is_named() -> None:
    """By its place in the request."""
    with pytest.raises(InputError) as wrong:
        share(bought(), returned({"item": "cup", "quantity": 1}, {"item": "tea", "quantity": 1}))
    assert wrong.value.fields[0].field == "lines.1.item"


def test_an_item_is_found_without_its_group() -> None:
    """A till that takes things back often knows the code alone; where it does not tell, it asks."""
    cups = {"item": "cup", "group": "dishes", "price": 10_000}
    gifts = {"item": "cup", "group": "gifts", "price": 20_000}

    def back(*lines: dict[str, Any], of: list[dict[str, Any]]) -> int:
        outcome = evaluate(BOOK, basket(of), occasion(), zone=ZONE)
        return share(outcome, returned(*lines)).total.money

    one = {"item": "cup", "quantity": 1}
    assert back(one, of=[cups]) == 10_000
    assert back(one | {"group": "gifts"}, of=[cups, gifts]) == 20_000
    plain = {"item": "cup", "price": 5_000}
    assert back(one, of=[cups, plain]) == 5_000
    for group, fault in (("toys", "lines.0.item"), (None, "lines.0.group")):
        with pytest.raises(InputError) as wrong:
            back(one | {"group": group}, of=[cups, gifts])
        assert wrong.value.fields[0].field == fault


def test_a_return_says_how_much() -> None:
    """Quantity or sum, lines or a sum of the bill."""
    for data in ({"lines": [{"item": "cup"}]}, {"lines": [], "sum": 5}, {"sum": 0}):
        with pytest.raises(ValidationError):
            Returned.model_validate(data)


STEPS = st.lists(st.tuples(st.integers(0, 7), st.fractions(0, 1, max_denominator=9)), max_size=6)


@HOW_MANY
@given(purchases(), STEPS)
def test_any_split_restores_exactly_everything(
    purchase: tuple[RuleBook, Bill, Occasion, int], steps: list[tuple[int, Any]]
) -> None:
    """Parts by quantity, by item and by sum, then the rest: never more, in the end all."""
    outcome = outcome_of(purchase)
    shares: list[Share] = []
    for which, part in steps:
        line = outcome.lines[which % len(outcome.lines)]
        before = [each.lines[which % len(outcome.lines)] for each in shares]
        milli = int((line.milli - sum(each.milli for each in before)) * part)
        net = int((line.net - sum(each.net for each in before)) * part)
        item = {"item": line.item, "group": line.group}
        if which % 3 == 0 and milli:
            what = returned(item | {"quantity": f"{milli / 1000:.3f}"})
        elif which % 3 == 1 and net:
            what = returned(item | {"sum": net})
        elif net:
            what = returned(sum=net)
        else:
            continue
        shares.append(share(outcome, what, shares))
        shares[-1] = Share.model_validate_json(shares[-1].model_dump_json())
    shares.append(share(outcome, returned(), shares))
    for each in shares:
        for got in (*each.lines, each.total):
            assert min(got.model_dump(exclude={"certificates"}).values()) >= 0
            assert got.net == got.points_money + sum(got.certificates) + got.money
    whole = {name: sum(getattr(each.total, name) for each in shares) for name in SUMMED}
    assert whole == {
        "net": outcome.payable,
        "points": outcome.paid_with_points,
        "points_money": outcome.points_money,
        "money": outcome.money,
        "earned": outcome.earned,
        "stamps": outcome.stamps,
        "turnover": outcome.turnover,
    }
    for tender in outcome.paid_with_certificates:
        back = (
            gift.amount for each in shares for gift in each.certificates if gift.id == tender.id
        )
        assert sum(back) == tender.amount
    for index, line in enumerate(outcome.lines):
        assert sum(each.lines[index].earned for each in shares) == line.earned
        assert sum(each.lines[index].milli for each in shares) == line.milli
