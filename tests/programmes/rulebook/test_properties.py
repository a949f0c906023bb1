"""What holds for every rule book and every bill."""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.programmes.rulebook.strategies import (
    BILLS,
    HOW_MANY,
    SCALES,
    ZONE,
    basket,
    books,
    occasion,
)
from walletsvc.core.errors import Refused
from walletsvc.programmes.rulebook.basket import Basket, Occasion, positions
from walletsvc.programmes.rulebook.evaluate import evaluate
from walletsvc.programmes.rulebook.outcome import Outcome
from walletsvc.programmes.rulebook.reasons import LANGUAGES, Code, Unit, words
from walletsvc.programmes.rulebook.schemas import RuleBook

Bill = list[dict[str, Any]]
PARTS = st.fractions(0, 1, max_denominator=20)


def paid(book: RuleBook, bought: Basket, scale: int, parts: list[Fraction]) -> Occasion:
    """An occasion on which certificates and points pay such parts of what they may."""
    free = evaluate(book, bought, occasion(turnover=9_000), zone=ZONE, scale=scale)
    left, tenders = free.payable, []
    for index, part in enumerate(parts[1:]):
        if amount := math.floor(part * left):
            tenders.append({"id": f"gift-{index}", "amount": amount})
            left -= amount
    with_gifts = occasion(turnover=9_000, paid_with_certificates=tenders)
    most = evaluate(book, bought, with_gifts, zone=ZONE, scale=scale).most_points_payable
    least = book.spend.min_points * 10**scale
    step = book.spend_step * (1 if book.stamp_card else 10**scale if book.spend.step else 1)
    points = math.floor(parts[0] * most) // step * step
    points = points if points >= least else 0
    return with_gifts.model_copy(update={"paid_with_points": points})


@st.composite
def purchases(draw: st.DrawFn) -> tuple[RuleBook, Bill, Occasion, int]:
    """A book, a bill, how it is paid, and the scale of points."""
    book, bill, scale = draw(books()), draw(BILLS), draw(SCALES)
    parts = draw(st.lists(PARTS, min_size=1, max_size=3))
    return book, bill, paid(book, basket(bill), scale, parts), scale


def outcome_of(purchase: tuple[RuleBook, Bill, Occasion, int]) -> Outcome:
    """Its outcome."""
    book, bill, at, scale = purchase
    return evaluate(book, basket(bill), at, zone=ZONE, scale=scale)


@HOW_MANY
@given(purchases(), st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_matter(
    purchase: tuple[RuleBook, Bill, Occasion, int], random: Any
) -> None:
    """A till may sort its bill as it likes."""
    book, bill, at, scale = purchase
    shuffled = random.sample(bill, len(bill))
    assert outcome_of((book, shuffled, at, scale)) == outcome_of(purchase)


@HOW_MANY
@given(purchases(), st.integers(0, 7), st.integers(2, 3), st.sampled_from([1_000, 500, 333]))
def test_splitting_a_line_does_not_matter(
    purchase: tuple[RuleBook, Bill, Occasion, int], which: int, into: int, milli: int
) -> None:
    """Two cups on one line or on two: the same bill."""
    book, bill, at, scale = purchase
    line = bill[which % len(bill)]
    whole = line | {"quantity": f"{milli * into / 1000:.3f}"}
    parts = [line | {"quantity": f"{milli / 1000:.3f}"} for _ in range(into)]
    if "sum" in line:
        whole["sum"] = line["sum"] * into
    others = [other for other in bill if other is not line]
    at = occasion(turnover=9_000)
    together = outcome_of((book, [*others, whole], at, scale))
    assert outcome_of((book, [*parts, *others], at, scale)) == together


@HOW_MANY
@given(purchases())
def test_nothing_pays_more_than_stated(purchase: tuple[RuleBook, Bill, Occasion, int]) -> None:
    """The cap, every limit, every price and the share for points hold, for each line too."""
    book, _, at, scale = purchase
    outcome = outcome_of(purchase)
    worth = Fraction(outcome.earned * book.point_value, 10**scale)
    base = sum(line.base for line in outcome.lines)
    assert worth <= base * Fraction(book.max_earn_percent) / 100
    assert sum(line.earned for line in outcome.lines) == outcome.earned
    for line in outcome.lines:
        assert min(line.model_dump(exclude={"item", "group", "name", "certificates"}).values()) >= 0
        assert line.net == line.points_money + sum(line.certificates) + line.money >= 0
        assert line.base <= line.net
        if line.item in book.exclusions.items:
            assert line.discount == line.earned == line.stamps == line.turnover == 0
        if line.group in book.exclusions.spend_item_groups:
            assert line.points_money == line.points == 0
    may = sum(
        line.net for line in outcome.lines if line.group not in book.exclusions.spend_item_groups
    )
    assert outcome.points_money <= may * Fraction(book.spend.max_share_percent) / 100
    assert sum(line.points for line in outcome.lines) == at.paid_with_points
    gifts = [sum(paid) for paid in zip(*(line.certificates for line in outcome.lines), strict=True)]
    assert gifts == [tender.amount for tender in at.paid_with_certificates]
    given: dict[str, Fraction] = defaultdict(Fraction)
    for reason in outcome.explanation:
        if reason.unit and "promotion" in reason.data:
            given[reason.data["promotion"]] += reason.amount
    for promotion in book.promotions:
        limit, effect = promotion.limit, promotion.effect
        got = given[promotion.id]
        if effect.kind == "fixed":
            assert effect.points is not None
            assert got <= effect.points * 10**scale
        if limit is not None:
            most = limit.money or limit.stamps or (limit.points or 0) * 10**scale
            assert got <= most


@HOW_MANY
@given(purchases())
def test_the_explanation_adds_up(purchase: tuple[RuleBook, Bill, Occasion, int]) -> None:
    """The amounts of the reasons sum to the totals exactly, and every reason has its words."""
    outcome = outcome_of(purchase)
    sums: dict[Unit | None, Fraction] = defaultdict(Fraction)
    for reason in outcome.explanation:
        sums[reason.unit] += reason.amount
        for language in LANGUAGES:
            said = words(reason, language, scale=purchase[3])
            assert said
            assert not set("{}") & set(said)
    assert sums[Unit.POINTS] == outcome.earned
    assert sums[Unit.MONEY] == outcome.discount
    assert sums[Unit.STAMPS] == outcome.stamps
    assert sums[None] == 0


@HOW_MANY
@given(purchases())
def test_a_quote_equals_its_purchase(purchase: tuple[RuleBook, Bill, Occasion, int]) -> None:
    """What was quoted is recorded, also from rules and answers that were stored meanwhile."""
    book, bill, at, scale = purchase
    quote = outcome_of(purchase)
    stored = RuleBook.model_validate_json(book.model_dump_json())
    assert stored == book
    assert outcome_of((stored, bill, at, scale)) == quote
    assert Outcome.model_validate_json(quote.model_dump_json()) == quote
    # Paying with points changes neither the price nor how many points it takes.
    without = outcome_of((book, bill, at.model_copy(update={"paid_with_points": 0}), scale))
    most = quote.most_points_payable
    assert without.lines[0].sum == quote.lines[0].sum
    if book.stamp_card is None:
        assert (without.discount, without.payable) == (quote.discount, quote.payable)
    else:
        assert without.payable - quote.payable == quote.discount - without.discount >= 0
    assert without.most_points_payable == most
    outcome_of((book, bill, at.model_copy(update={"paid_with_points": most}), scale))
    with pytest.raises(Refused):
        outcome_of((book, bill, at.model_copy(update={"paid_with_points": most + 1}), scale))


@HOW_MANY
@given(purchases(), books())
def test_versions_never_mix(
    purchase: tuple[RuleBook, Bill, Occasion, int], other: RuleBook
) -> None:
    """What one version computes knows nothing of the others that were applied before it."""
    book, bill, _, scale = purchase
    plain = occasion(turnover=9_000)
    data = other.model_dump(mode="json")
    for promotion in data["promotions"]:
        promotion["name"] = {"ru": "Новая версия", "en": "New version"}
    # As many promotions under the same ids: nothing but the book tells them apart.
    count = min(len(data["promotions"]), len(book.promotions))
    data["promotions"] = data["promotions"][:count]
    newer = RuleBook.model_validate(data)
    older = book.model_copy(update={"promotions": book.promotions[:count]})
    first = outcome_of((older, bill, plain, scale))
    second = outcome_of((newer, bill, plain, scale))
    assert outcome_of((older, bill, plain, scale)) == first
    assert outcome_of((newer, bill, plain, scale)) == second
    for version, outcome in ((older, first), (newer, second)):
        known = {promotion.name.en for promotion in version.promotions}
        told = [r for r in outcome.explanation if "promotion" in r.data]
        assert {reason.data["name"]["en"] for reason in told} <= known
        for reason in outcome.explanation:
            if reason.code in (Code.BASE, Code.BASE_OF_TIER):
                assert reason.data["percent"] == str(version.percent_for(outcome.tier))


@HOW_MANY
@given(purchases())
def test_the_tier_follows_purchases_and_nothing_else(
    purchase: tuple[RuleBook, Bill, Occasion, int],
) -> None:
    """Never down, by turnover alone, and what is paid with points does not count."""
    book, _, at, _ = purchase
    outcome = outcome_of(purchase)
    rank = {tier.code: index for index, tier in enumerate(book.tiers)}
    counts = book.tier_base.counts(at.organisation)
    total = at.turnover + (outcome.turnover if counts else 0)
    reached = [tier.code for tier in book.tiers if tier.threshold <= total]
    assert outcome.tier_after == (reached[-1] if reached else None)
    if book.tiers:
        assert rank[outcome.tier or ""] <= rank[outcome.tier_after or ""]
    assert outcome.turnover <= outcome.payable - outcome.points_money


@HOW_MANY
@given(purchases())
def test_points_are_what_plain_fractions_say(
    purchase: tuple[RuleBook, Bill, Occasion, int],
) -> None:
    """The base and every promotion of which nothing gave way, against arithmetic on fractions."""
    book, _, _, scale = purchase
    outcome = outcome_of(purchase)
    moved = {r.data.get("promotion") for r in outcome.explanation if r.code.startswith("gave_way")}
    to_points = Fraction(10**scale, book.point_value)
    percent = Fraction(book.percent_for(outcome.tier)) / 100
    said = {r.data.get("promotion", r.code): r for r in outcome.explanation if r.code != Code.LIMIT}
    base = said.get(Code.BASE) or said.get(Code.BASE_OF_TIER)
    earning = sum(line.base for line in outcome.lines)
    assert (base.amount if base else 0) == earning * percent * to_points
    for promotion in book.promotions:
        reason, effect = said.get(promotion.id), promotion.effect
        if reason is None or promotion.id in moved or effect.kind in ("stamps", "discount"):
            continue
        when = promotion.when
        hit = [
            line
            for line in outcome.lines
            if line.base
            and (
                (when.items is None and when.item_groups is None)
                or line.item in (when.items or ())
                or line.group in (when.item_groups or ())
            )
        ]
        of = sum(line.base for line in hit)
        match effect.kind:
            case "percent":
                wanted = of * Fraction(effect.percent or 0) / 100 * to_points
            case "multiplier":
                wanted = of * percent * (Fraction(effect.factor or 0) - 1) * to_points
            case "fixed":
                wanted = Fraction((effect.points or 0) * 10**scale)
            case _:
                units = Fraction(sum(line.milli for line in hit), 1000)
                wanted = units * (effect.points or 0) * 10**scale
        assert reason.amount == wanted


@HOW_MANY
@given(purchases())
def test_each_line_of_the_bill_gets_its_part(
    purchase: tuple[RuleBook, Bill, Occasion, int],
) -> None:
    """What the till prints beside each line sums to the totals; no line costs less than nothing."""
    outcome = outcome_of(purchase)
    parts = positions(basket(purchase[1]), outcome)
    assert len(parts) == len(purchase[1])
    assert sum(part.sum for part in parts) == outcome.sum
    assert sum(part.discount for part in parts) == outcome.discount
    assert sum(part.points_money for part in parts) == outcome.points_money
    assert sum(part.earned for part in parts) == outcome.earned
    assert all(part.discount + part.points_money <= part.sum for part in parts)
