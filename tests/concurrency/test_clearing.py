"""Organisations that deal with each other at the same moment."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from tests.concurrency.at_once import outcome, together
from tests.concurrency.interleave import checkpoints, interleave
from tests.ledger.coalition import NAMES, Coalition, open_coalition
from tests.ledger.shop import Shop

THREADS = 12


@pytest.fixture
def coalition(shop: Shop) -> Coalition:
    """Every holder has a thousand points and a thousand roubles of their own organisation."""
    coalition = open_coalition(shop)
    for name in NAMES:
        for unit in (coalition.points, coalition.roubles):
            coalition.give(name, 1000, unit=unit)
    return coalition


def pairs(coalition: Coalition) -> list[tuple[str, str, int]]:
    """Organisation, counterparty and number of the accounts between organisations."""
    return coalition.shop.all(
        "SELECT o.slug, c.slug, count(*) FROM accounts a"
        " JOIN organisations o ON o.id = a.organisation_id"
        " JOIN organisations c ON c.id = a.counterparty_id GROUP BY 1, 2 ORDER BY 1, 2"
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_first_dealings_of_all_with_all(coalition: Coalition, seed: int) -> None:
    """Each redeems the others' points for the first time, statement by statement in any order.

    The accounts between them are made once, nobody waits for somebody who waits for him.
    """
    work: list[Callable[[], object]] = [
        partial(coalition.redeem, issuer, 10, at=at)
        for issuer in NAMES
        for at in NAMES
        if issuer != at
    ]
    dice = random.Random(seed)
    dice.shuffle(work)
    with checkpoints(coalition.database.engine):
        interleave(dice, work)
    assert pairs(coalition) == [(a, b, 1) for a in NAMES for b in NAMES if a != b]
    assert coalition.owed("hotel", "spa") == 0
    assert coalition.shop.differences() == []


def test_two_redeem_each_others_value_at_once(coalition: Coalition) -> None:
    """Tills of two organisations, each with the other's customer, in two units."""

    def till(number: int) -> None:
        issuer, at = ("hotel", "spa") if number % 2 else ("spa", "hotel")
        unit = coalition.points if number % 4 < 2 else coalition.roubles
        for _ in range(5):
            coalition.redeem(issuer, 3, at=at, unit=unit)

    together(THREADS, till)
    assert pairs(coalition) == [("hotel", "spa", 2), ("spa", "hotel", 2)]
    money = [
        coalition.statements(name, coalition.shop.now, coalition.shop.days(1))
        for name in ("hotel", "spa")
    ]
    for found in money:
        assert [each.closing for each in found] == [0, 0]
        assert [abs(m.amount) for each in found for m in each.movements] == [45] * 4
    assert coalition.shop.differences() == []


def test_payments_at_once_never_pay_more_than_is_owed(coalition: Coalition) -> None:
    """Of twelve payments of 30 on a debt of 100 exactly three pass, whoever they are."""
    coalition.redeem("hotel", 100, at="spa")
    results = together(THREADS, lambda _: outcome(lambda: coalition.pay("hotel", "spa", 30)))
    assert Counter(results) == {"done": 3, "refused": 9}
    assert coalition.owed("hotel", "spa") == 10
    assert coalition.shop.differences() == []


@pytest.mark.parametrize("seed", range(8))
def test_the_last_of_a_debt_is_paid_once(coalition: Coalition, seed: int) -> None:
    """Two payments of all that is owed, statement by statement: one passes."""
    coalition.redeem("hotel", 100, at="spa")
    results: list[str] = []
    work: list[Callable[[], object]] = [
        lambda: results.append(outcome(lambda: coalition.pay("hotel", "spa", 100)))
    ] * 2
    with checkpoints(coalition.database.engine):
        interleave(random.Random(seed), work)
    assert sorted(results) == ["done", "refused"]
    assert coalition.owed("hotel", "spa") == 0


def test_a_payment_is_taken_back_once(coalition: Coalition) -> None:
    """However often it is asked for at the same moment."""
    coalition.redeem("hotel", 100, at="spa")
    paid = coalition.pay("hotel", "spa", 40).public_id
    results = together(THREADS, lambda _: outcome(lambda: coalition.unpay(paid)))
    assert Counter(results) == {"done": 1, "already_reversed": THREADS - 1}
    assert coalition.owed("hotel", "spa") == 100


def test_redemptions_do_not_wait_for_a_payment(coalition: Coalition) -> None:
    """While one payment is open, tills of the same pair go on."""
    coalition.redeem("hotel", 100, at="spa")
    with coalition.database.engine.connect() as slow:
        low, high = sorted((coalition.ids["hotel"], coalition.ids["spa"]))
        slow.exec_driver_sql(
            "SELECT pg_advisory_xact_lock(hashtextextended('walletsvc settlement ' ||"
            f" '{low} {high} {coalition.points}', 0))"
        )
        coalition.redeem("hotel", 5, at="spa")
        coalition.redeem("spa", 5, at="hotel")
    assert coalition.owed("hotel", "spa") == 100
