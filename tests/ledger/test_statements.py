"""Statements add up, follow each other without a gap, and mirror the counterparty's."""

from __future__ import annotations

import itertools
import random
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger.coalition import NAMES, Coalition, open_coalition
from tests.ledger.shop import Shop
from tests.ledger.test_against_model import LONG
from walletsvc.core.errors import AlreadyReversed, InsufficientFunds, Refused
from walletsvc.ledger.clearing_days import count
from walletsvc.ledger.models import Transaction, TransactionType
from walletsvc.ledger.statements import Movement, MovementSum, Statement, dealt_with, place

DAYS = 40


@pytest.fixture
def coalition(shop: Shop) -> Coalition:
    """Three organisations without any operation."""
    return open_coalition(shop)


def test_a_months_statement(coalition: Coalition) -> None:
    """Every kind of operation is counted and summed, apart for whose value it was."""
    shop, roubles = coalition.shop, coalition.roubles
    coalition.give("hotel", 1000)
    coalition.give("restaurant", 1000)
    coalition.redeem("hotel", 50, at="restaurant", now=shop.days(-1))
    coalition.redeem("hotel", 300, at="restaurant")
    spent = coalition.redeem("hotel", 100, at="restaurant")
    coalition.reverse(spent, amount=40)
    coalition.redeem("restaurant", 200, at="hotel")
    given_ = coalition.give("hotel", 30, at="restaurant")
    coalition.give("hotel", 20, at="restaurant", available_from=shop.days(2))
    coalition.reverse(given_, amount=5)
    coalition.pay("hotel", "restaurant", 60)
    coalition.redeem("hotel", 1, at="restaurant", now=shop.days(1))
    coalition.give("hotel", 5000, unit=roubles, source="sale")
    coalition.redeem("hotel", 4500, at="restaurant", unit=roubles)
    money, points = coalition.statements("hotel", shop.now, shop.days(1))
    assert (money.counterparty, money.counterparty_name, money.unit, money.scale) == (
        "restaurant",
        "Restaurant",
        "RUB",
        2,
    )
    assert (money.opening, money.closing) == (0, 4500)
    assert (points.unit, points.opening) == ("points:all", 50)
    assert points.movements == [
        MovementSum(Movement.GRANT_TAKEN_BACK, "hotel", 1, 5),
        MovementSum(Movement.GRANTED, "hotel", 2, -50),
        MovementSum(Movement.REDEEMED, "hotel", 2, 400),
        MovementSum(Movement.REDEEMED, "restaurant", 1, -200),
        MovementSum(Movement.REDEMPTION_REFUNDED, "hotel", 1, -40),
        MovementSum(Movement.SETTLED, "hotel", 1, -60),
    ]
    assert points.closing == 50 + 5 - 50 + 400 - 200 - 40 - 60
    assert coalition.statements("spa", shop.now, shop.days(1)) == []
    assert coalition.statements("hotel", shop.now, shop.days(1), "spa") == []


def test_an_unchanged_debt_stays_in_sight(coalition: Coalition) -> None:
    """A quiet month still says what is owed; a pair that is quits and quiet says nothing."""
    shop = coalition.shop
    coalition.give("hotel", 100)
    coalition.redeem("hotel", 100, at="spa")
    quiet = coalition.statements("spa", shop.days(1), shop.days(2))
    assert [(each.opening, each.movements, each.closing) for each in quiet] == [(-100, [], -100)]
    coalition.pay("hotel", "spa", 100, now=shop.days(2))
    assert coalition.statements("spa", shop.days(3), shop.days(4)) == []


def test_a_period_takes_its_beginning_and_not_its_end(coalition: Coalition) -> None:
    """What happens on the stroke of midnight is in the new month, once."""
    shop = coalition.shop
    coalition.give("hotel", 100)
    coalition.redeem("hotel", 10, at="spa", now=shop.days(1))
    before = coalition.statements("hotel", shop.now, shop.days(1))
    after = coalition.statements("hotel", shop.days(1), shop.days(2))
    assert before == []
    assert [(each.opening, each.closing) for each in after] == [(0, 10)]


def test_lines_are_the_transactions_with_a_running_total(coalition: Coalition) -> None:
    """In order of time, not of writing; the running total begins with the past."""
    shop = coalition.shop
    coalition.give("hotel", 100)
    coalition.redeem("hotel", 5, at="spa", now=shop.days(-1))
    late = coalition.redeem("hotel", 10, at="spa", now=shop.days(2))
    early = coalition.redeem("hotel", 20, at="restaurant", now=shop.days(1))
    paid = coalition.pay("hotel", "spa", 7, now=shop.days(3), reason="п/п 17")
    found = coalition.lines("hotel", shop.now, shop.days(4))
    assert [
        (line.public_id, line.counterparty, line.movement, line.amount, line.total, line.reason)
        for line in found
    ] == [
        (early.public_id, "restaurant", "redeemed", 20, 20, ""),
        (late.public_id, "spa", "redeemed", 10, 15, ""),
        (paid.public_id, "spa", "settled", -7, 8, "п/п 17"),
    ]
    ours = coalition.lines("spa", shop.now, shop.days(4))
    assert [(line.amount, line.total) for line in ours] == [(-10, -15), (7, -8)]
    assert coalition.lines("hotel", shop.now, shop.days(4), unit="RUB") == []


def test_lines_in_pieces_are_the_same_lines(coalition: Coalition) -> None:
    """Going on from a transaction repeats and hides nothing, even among those of one moment."""
    shop = coalition.shop
    coalition.give("hotel", 100)
    for number in range(9):
        at = "spa" if number % 2 else "restaurant"
        coalition.redeem("hotel", number + 1, at=at, now=shop.days(number // 4))
    whole = coalition.lines("hotel", shop.now, shop.days(9))
    assert [line.amount for line in whole] == list(range(1, 10))
    pieces, after = [], None
    for _ in range(3):
        piece = coalition.lines("hotel", shop.now, shop.days(9), after=after, limit=3)
        pieces += piece
        with shop.database.read_tx() as session:
            after = place(session, coalition.ids["hotel"], piece[-1].public_id)
    assert pieces == whole
    with shop.database.read_tx() as session:
        assert place(session, coalition.ids["spa"], whole[0].public_id) is None


def test_whom_one_deals_with(coalition: Coalition) -> None:
    """Those with whom something was ever exchanged, from either side."""
    coalition.give("hotel", 100)
    coalition.redeem("hotel", 10, at="spa")
    ids = coalition.ids
    with coalition.database.read_tx() as session:
        assert dealt_with(session, ids["hotel"], ids["spa"])
        assert dealt_with(session, ids["spa"], ids["hotel"])
        assert not dealt_with(session, ids["hotel"], ids["restaurant"])


def act(coalition: Coalition, dice: random.Random, posted: list[Transaction]) -> None:
    """One random operation between two random organisations; a refusal is nothing."""
    now = coalition.shop.now + timedelta(hours=dice.randrange(DAYS * 24))
    issuer, acceptor = dice.choice(NAMES), dice.choice(NAMES)
    unit = dice.choice([coalition.points, coalition.roubles])
    amount = dice.randint(1, 200)
    try:
        match dice.choice(["give", "give later", "redeem", "redeem", "redeem", "undo", "pay"]):
            case "give":
                posted.append(coalition.give(issuer, amount, at=acceptor, unit=unit, now=now))
            case "give later":
                starts = now + timedelta(days=dice.randint(1, 9))
                posted.append(
                    coalition.give(issuer, amount, at=acceptor, now=now, available_from=starts)
                )
            case "redeem":
                posted.append(coalition.redeem(issuer, amount, at=acceptor, unit=unit, now=now))
            case "undo" if posted:
                part = dice.choice([None, 1, amount])
                done = dice.choice(posted)
                if done.type == TransactionType.SETTLEMENT:
                    coalition.unpay(done.public_id, now=now)
                else:
                    coalition.reverse(done, amount=part, now=now)
            case "pay" if issuer != acceptor:
                due = coalition.owed(issuer, acceptor, unit)
                due = max(dice.choice([due, amount]), 1)
                posted.append(coalition.pay(issuer, acceptor, due, unit=unit, now=now))
    except (InsufficientFunds, Refused, AlreadyReversed):
        return


Found = dict[tuple[str, str, str], Statement]


def read(coalition: Coalition, since: datetime, until: datetime) -> Found:
    """All statements of a period by organisation, counterparty and unit."""
    return {
        (name, each.counterparty, each.unit): each
        for name in NAMES
        for each in coalition.statements(name, since, until)
    }


def by_entries(coalition: Coalition, until: datetime) -> dict[tuple[str, str, str], int]:
    """What the entries say is owed at a moment, asked in the plainest way."""
    rows = coalition.shop.all(
        "SELECT o.slug, c.slug, u.code, sum(e.amount)::bigint FROM ledger_entries e"
        " JOIN ledger_transactions t ON t.id = e.transaction_id"
        " JOIN accounts a ON a.id = e.account_id AND a.counterparty_id IS NOT NULL"
        " JOIN organisations o ON o.id = a.organisation_id"
        " JOIN organisations c ON c.id = a.counterparty_id JOIN ledger_units u ON u.id = e.unit_id"
        " WHERE t.at < :until GROUP BY 1, 2, 3 HAVING sum(e.amount) <> 0",
        until=until,
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def mirrored(each: Statement) -> list[tuple[str, str, int, int]]:
    """A statement's movements as the counterparty must see them."""
    return [(m.movement, m.organisation, m.count, -m.amount) for m in each.movements]


@pytest.fixture
def lively(coalition: Coalition) -> Coalition:
    """Some hundred random operations over forty days, counted by the day now and then."""
    dice = random.Random(20261124)
    posted: list[Transaction] = []
    for _ in range(600 if LONG else 250):
        act(coalition, dice, posted)
        if dice.random() < 0.06:
            count(coalition.database)
    kinds = {row[0] for row in coalition.shop.all("SELECT DISTINCT type FROM ledger_transactions")}
    assert kinds == {"accrual", "credit", "debit", "maturity", "reversal", "settlement"}
    rows = "SELECT count(DISTINCT through_id) > 5 FROM clearing_days"
    assert coalition.shop.all(rows) == [(True,)]
    return coalition


def test_random_operations_over_random_periods(lively: Coalition) -> None:
    """Opening and movements make the closing; periods chain; both sides mirror; nothing is lost."""
    start = lively.shop.now

    @settings(
        max_examples=100 if LONG else 15,
        derandomize=not LONG,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(st.integers(-24, (DAYS + 1) * 24), min_size=3, max_size=3, unique=True))
    def over(hours: list[int]) -> None:
        first, second, third = (start + timedelta(hours=each) for each in sorted(hours))
        earlier, later = read(lively, first, second), read(lively, second, third)
        for moment, sums in (
            (first, {key: each.opening for key, each in earlier.items()}),
            (second, {key: each.closing for key, each in earlier.items()}),
            (second, {key: each.opening for key, each in later.items()}),
            (third, {key: each.closing for key, each in later.items()}),
        ):
            told = {key: owed for key, owed in sums.items() if owed}
            assert told == by_entries(lively, moment)
            assert sum(told.values()) == 0
        for (own, other, unit), each in later.items():
            theirs = later[other, own, unit]
            assert (theirs.opening, theirs.closing) == (-each.opening, -each.closing)
            assert mirrored(each) == [
                (m.movement, m.organisation, m.count, m.amount) for m in theirs.movements
            ]
        check_lines(lively, second, third, later)

    over()
    # By the entries of both sides, whenever they were written.
    whole = by_entries(lively, start + timedelta(days=10 * DAYS))
    for (own, other, unit), amount in whole.items():
        assert lively.owed(own, other, lively.points if unit != "RUB" else lively.roubles) == amount
    assert lively.shop.differences() == []


def check_lines(coalition: Coalition, since: datetime, until: datetime, found: Found) -> None:
    """Lines begin at the opening, end at the closing, and count what the statement counts."""
    for name in NAMES:
        seen = sorted(
            coalition.lines(name, since, until), key=lambda line: (line.counterparty, line.unit)
        )
        grouped = itertools.groupby(seen, lambda line: (line.counterparty, line.unit))
        by_pair = {(name, *key): list(group) for key, group in grouped}
        assert by_pair.keys() == {
            key for key, each in found.items() if key[0] == name and each.movements
        }
        for key, group in by_pair.items():
            total = found[key].opening
            for line in group:
                total += line.amount
                assert line.total == total
            assert total == found[key].closing
            assert len(group) == sum(m.count for m in found[key].movements)


def test_the_example_of_the_manual(coalition: Coalition) -> None:
    """docs/clearing.md, a hotel and a restaurant in November, to the end of its act."""
    shop, roubles = coalition.shop, coalition.roubles
    coalition.give("hotel", 5000)
    coalition.give("restaurant", 1_000_000, unit=roubles, source="sale")
    dinner = coalition.redeem("hotel", 1200, at="restaurant")
    coalition.reverse(dinner, amount=300)
    coalition.give("hotel", 150, at="restaurant")
    coalition.redeem("restaurant", 450_000, at="hotel", unit=roubles)
    money, points = coalition.statements("hotel", shop.now, shop.days(10))
    assert [(each.movement, each.amount) for each in points.movements] == [
        ("granted", -150),
        ("redeemed", 1200),
        ("redemption_refunded", -300),
    ]
    assert (points.closing, money.closing) == (750, -450_000)
    coalition.pay("hotel", "restaurant", 750, now=shop.days(13))
    coalition.pay("restaurant", "hotel", 450_000, unit=roubles, now=shop.days(13))
    assert coalition.statements("hotel", shop.days(14), shop.days(40)) == []
    assert shop.differences() == []
