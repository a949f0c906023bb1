"""Tiers: who stands where, when somebody moves down, and who would move under new rules."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from tests.programmes.rulebook.strategies import ZONE
from walletsvc.programmes.rulebook import tiers
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.rulebook.tiers import Move, preview


def book(thresholds: dict[str, int], **tier_base: Any) -> RuleBook:
    """Rules with these tiers."""
    return RuleBook.model_validate(
        {
            "earn": {"percent": "1"},
            "tiers": [
                {"code": code, "name": {"ru": code, "en": code}, "threshold": threshold}
                for code, threshold in thresholds.items()
            ],
            "tier_base": tier_base,
        }
    )


BOOK = book({"bronze": 0, "silver": 100_000, "gold": 500_000})


@pytest.mark.parametrize(
    ("turnover", "code", "following"),
    [
        (0, "bronze", ("silver", 100_000)),
        (99_999, "bronze", ("silver", 1)),
        (100_000, "silver", ("gold", 400_000)),
        (499_999, "silver", ("gold", 1)),
        (500_000, "gold", None),
        (10**12, "gold", None),
    ],
)
def test_a_threshold_is_reached_to_the_kopeck(
    turnover: int, code: str, following: tuple[str, int] | None
) -> None:
    """And what is missing to the next is told."""
    found = tiers.tier_for(BOOK, turnover)
    assert found is not None
    assert found.code == code
    ahead = tiers.next_tier(BOOK, turnover)
    assert (ahead and (ahead[0].code, ahead[1])) == following


def test_without_tiers_nobody_has_one() -> None:
    """One unnamed level for all."""
    assert tiers.tier_for(book({}), 5) is None
    assert tiers.next_tier(book({}), 5) is None
    assert tiers.reached(book({}), 5, "gold") is None


def test_a_purchase_moves_up_and_never_down() -> None:
    """Down is for the check."""
    for turnover, present, code in ((500_000, "bronze", "gold"), (0, "gold", "gold")):
        found = tiers.reached(BOOK, turnover, present)
        assert found is not None
        assert found.code == code


def test_a_window_counts_its_last_day_and_no_more() -> None:
    """365 days are today and the 364 before it."""
    rolling = book({"bronze": 0}, window_days=365)
    assert tiers.counts_since(rolling, date(2026, 11, 24)) == date(2025, 11, 25)
    assert tiers.counts_since(BOOK, date(2026, 11, 24)) is None


@pytest.mark.parametrize(
    ("downgrade", "now", "last", "due"),
    [
        ("never", datetime(2026, 12, 1, tzinfo=ZONE), date(2020, 1, 1), False),
        ("monthly", datetime(2026, 11, 30, 23, 59, tzinfo=ZONE), date(2026, 11, 1), False),
        ("monthly", datetime(2026, 12, 1, tzinfo=ZONE), date(2026, 11, 1), True),
        ("monthly", datetime(2026, 12, 1, 5, tzinfo=ZONE), date(2026, 12, 1), False),
        (
            "monthly",
            datetime(2026, 12, 9, tzinfo=ZONE),
            date(2026, 11, 30),
            True,
        ),
        ("yearly", datetime(2026, 12, 31, tzinfo=ZONE), date(2026, 1, 1), False),
        ("yearly", datetime(2027, 1, 1, tzinfo=ZONE), date(2026, 12, 31), True),
    ],
)
def test_the_check_is_on_the_first_day(
    downgrade: str, now: datetime, last: date, due: bool
) -> None:
    """Of a month or of a year, once."""
    rules = book({"bronze": 0}, downgrade=downgrade)
    assert tiers.check_due(rules, now, last) is due


CARDS = [
    (1, 0, "bronze", True),
    (2, 60_000, "bronze", True),
    (3, 70_000, "bronze", True),
    (4, 150_000, "silver", True),
    (5, 600_000, "gold", True),
    (6, 0, None, False),
]


def test_lower_thresholds_move_up_at_once() -> None:
    """With the ids and the counts of every tier afterwards."""
    new = book({"bronze": 0, "silver": 60_000, "gold": 500_000})
    found = preview(BOOK, new, CARDS)
    assert found.moves == (
        Move(None, "bronze", "assigned", True, (6,)),
        Move("bronze", "silver", "up", True, (2, 3)),
    )
    assert found.staying == 3
    assert found.after == {"bronze": 2, "silver": 3, "gold": 1}


@pytest.mark.parametrize("downgrade", ["never", "monthly"])
def test_higher_thresholds_move_down_at_the_next_check_or_never(downgrade: str) -> None:
    """A customer does not lose a tier on the day that the rules change."""
    new = book({"bronze": 0, "silver": 200_000, "gold": 900_000}, downgrade=downgrade)
    found = preview(BOOK, new, CARDS[:5])
    if downgrade == "never":
        assert found.moves == ()
        assert found.staying == 5
        return
    assert found.moves == (
        Move("silver", "bronze", "down", False, (4,)),
        Move("gold", "silver", "down", False, (5,)),
    )
    assert found.after == {"bronze": 4, "silver": 1}


def test_a_tier_that_is_gone_moves_its_cards_at_once() -> None:
    """Up or down, as its threshold was."""
    found = preview(BOOK, book({"base": 0, "gold": 500_000}), CARDS)
    assert found.moves == (
        Move(None, "base", "assigned", True, (6,)),
        Move("bronze", "base", "assigned", True, (1, 2, 3)),
        Move("silver", "base", "down", True, (4,)),
    )
    assert preview(BOOK, book({}), [(5, 600_000, "gold", True)]).after == {None: 1}


@pytest.mark.parametrize("downgrade", ["never", "monthly"])
def test_who_never_bought_begins_where_the_new_book_begins(downgrade: str) -> None:
    """At once: the first tier was nothing that they had reached. Others keep it for now."""
    new = book({"basic": 0, "bronze": 50_000, "silver": 200_000}, downgrade=downgrade)
    cards = [(1, 0, "bronze", False), (2, 10, "bronze", True), (3, 60_000, "bronze", False)]
    found = preview(BOOK, new, cards)
    later = () if downgrade == "never" else (Move("bronze", "basic", "down", False, (2,)),)
    assert found.moves == (Move("bronze", "basic", "down", True, (1,)), *later)
    assert found.staying == 3 - len(found.moves)
