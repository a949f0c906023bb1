"""The regular check, and turnover that leaves a rolling window."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.factories import TILL
from tests.programmes.books import LEVELS, book
from tests.programmes.tiers.club import Club
from walletsvc.cards.groups import service as groups
from walletsvc.programmes.tiers import many, schedule
from walletsvc.programmes.tiers.many import Looked
from walletsvc.programmes.tiers.models import AccountTier, TierCause

DECEMBER = datetime(2026, 11, 30, 21, 0, tzinfo=UTC)  # midnight in Moscow


def run(club: Club, at: datetime, batch: int = schedule.BATCH) -> Looked:
    return schedule.run(club.database, lambda: at, batch)


def checked(club: Club) -> set[date]:
    with club.database.read_tx() as session:
        return set(session.execute(text("SELECT checked_on FROM account_tiers")).scalars())


def test_down_on_the_first_of_the_month_in_the_programmes_zone(club: Club) -> None:
    """Not a second earlier, and only who no longer reaches the tier."""
    club.publish(book(*LEVELS, tier_base={"downgrade": "monthly"}))
    falls, stays, small = club.card(), club.card(), club.card()
    for card in (falls, stays):
        club.buy(card, 600_000)
    club.buy(small, 10)
    club.buy(falls, -450_000)
    club.touched()
    assert run(club, DECEMBER - timedelta(seconds=1)) == Looked(0, 0, 0)
    assert club.tier(falls) == "gold"
    assert run(club, DECEMBER) == Looked(3, 0, 1)
    assert [club.tier(card) for card in (falls, stays, small)] == ["silver", "gold", "bronze"]
    assert club.changes()[-1] == ("gold", "silver", TierCause.SCHEDULE)
    assert falls.account_id in club.touched()
    assert run(club, DECEMBER + timedelta(days=20)) == Looked(0, 0, 0), "once a month"


@pytest.mark.parametrize(
    ("downgrade", "at", "down"),
    [
        ("never", datetime(2031, 1, 1, 12, tzinfo=UTC), 0),
        ("yearly", datetime(2026, 12, 31, 20, 59, tzinfo=UTC), 0),
        ("yearly", datetime(2026, 12, 31, 21, tzinfo=UTC), 1),
        ("monthly", datetime(2027, 3, 17, tzinfo=UTC), 1),  # nights that were missed
    ],
)
def test_when_it_is_due(club: Club, downgrade: str, at: datetime, down: int) -> None:
    """By the book; a check that was missed is made up for."""
    club.publish(book(*LEVELS, tier_base={"downgrade": downgrade}))
    card = club.card()
    club.buy(card, 600_000)
    club.buy(card, -600_000)
    assert run(club, at).down == down


def test_it_goes_on_where_it_was_broken_off(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches of their own, each account once, whatever happens between them."""
    club.publish(book(*LEVELS, tier_base={"downgrade": "monthly"}))
    cards = [club.card() for _ in range(5)]
    for card in cards:
        club.buy(card, 600_000)
        club.buy(card, -600_000)
    real, calls = many.settle_many, 0

    def breaks(*args: Any, **options: Any) -> Looked:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("the host went away")
        return real(*args, **options)

    monkeypatch.setattr(schedule, "settle_many", breaks)
    with pytest.raises(RuntimeError):
        run(club, DECEMBER, batch=2)
    assert [club.tier(card) for card in cards].count("bronze") == 2
    assert run(club, DECEMBER, batch=2) == Looked(3, 0, 3)
    assert {club.tier(card) for card in cards} == {"bronze"}
    assert checked(club) == {date(2026, 12, 1)}
    assert club.changes().count(("gold", "bronze", TierCause.SCHEDULE)) == 5


def test_what_leaves_the_window_is_missing_to_the_next_tier(club: Club) -> None:
    """The tier stays until the check, the pass says at once how much more it takes."""
    rules = book(*LEVELS, tier_base={"window_days": 30, "downgrade": "yearly"})
    club.publish(rules)
    card, other = club.card(), club.card()
    club.buy(card, 120_000, days_ago=29)
    club.buy(card, 40_000)
    club.buy(other, 70_000)
    club.touched()
    assert run(club, club.now) == Looked(0, 0, 0)
    tomorrow = club.now + timedelta(days=1)
    assert run(club, tomorrow) == Looked(1, 0, 0)
    with club.database.read_tx() as session:
        row = session.get_one(AccountTier, card.account_id)
        assert (row.tier, row.base, row.checked_on) == ("silver", 40_000, club.day())
    assert club.touched() == [card.account_id]
    assert run(club, tomorrow) == Looked(0, 0, 0)


def test_who_left_a_family_keeps_its_tier_until_the_check(club: Club) -> None:
    """Then what the card bought by itself decides."""
    club.publish(book(*LEVELS, tier_base={"downgrade": "monthly"}))
    host, guest = club.card(), club.card()
    club.buy(host, 120_000)
    with club.database.write_tx() as session:
        groups.approve(session, guest, host, reason="Семья", actor=TILL, now=club.now)
    with club.database.write_tx() as session:
        groups.leave(session, guest, 0, actor=TILL, now=club.now)
    run(club, DECEMBER - timedelta(seconds=1))
    assert club.tier(guest) == "silver"
    run(club, DECEMBER)
    assert (club.tier(host), club.tier(guest)) == ("silver", "bronze")
