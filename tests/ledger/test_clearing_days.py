"""What is counted by the day: never twice, never too early, and found when it is wrong."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.ledger.coalition import Coalition, open_coalition
from tests.ledger.shop import Shop, debit
from walletsvc.ledger import clearing_days
from walletsvc.ledger.clearing_days import count


@pytest.fixture
def coalition(shop: Shop) -> Coalition:
    """The hotel and the restaurant, each with a holder who has points."""
    found = open_coalition(shop)
    for issuer in ("hotel", "restaurant"):
        found.give(issuer, 1000)
    return found


def counted(coalition: Coalition) -> list[tuple[int, int]]:
    """What is stored of the hotel's debt to the restaurant: on which day, how much."""
    rows = coalition.shop.all(
        "SELECT d.day, sum(d.amount)::bigint FROM clearing_days d"
        " JOIN accounts a ON a.id = d.account_id"
        " WHERE a.organisation_id = :hotel AND a.counterparty_id = :restaurant"
        " GROUP BY d.day ORDER BY d.day",
        hotel=coalition.ids["hotel"],
        restaurant=coalition.ids["restaurant"],
    )
    return [((row[0] - coalition.shop.now.date()).days, row[1]) for row in rows]


def test_a_run_counts_what_the_run_before_saw(coalition: Coalition) -> None:
    """Each entry once, on the day of its transaction, whenever it was written."""
    shop, database = coalition.shop, coalition.database
    coalition.redeem("hotel", 10, at="restaurant")
    count(database)
    assert counted(coalition) == []
    coalition.redeem("hotel", 5, at="restaurant", now=shop.days(1))
    coalition.redeem("hotel", 7, at="restaurant", now=shop.days(-3))
    count(database)
    assert counted(coalition) == [(0, 10)]
    count(database)
    count(database)
    assert counted(coalition) == [(-3, 7), (0, 10), (1, 5)]
    coalition.redeem("hotel", 1, at="restaurant", now=shop.days(-3))
    assert coalition.owed("hotel", "restaurant") == 23
    (told,) = coalition.statements("hotel", shop.now, shop.days(1))
    assert (told.opening, told.closing) == (8, 18)
    assert shop.differences() == []


def test_what_is_committed_late_is_not_passed_over(coalition: Coalition) -> None:
    """An entry with a low id whose transaction is open while higher ones are committed."""
    database, account = coalition.database, coalition.accounts["hotel", coalition.points]
    taker = coalition.ids["restaurant"]
    coalition.redeem("hotel", 1, at="restaurant")
    with database.write_tx() as slow:
        debit(slow, account, 100, acceptor_id=taker, now=coalition.shop.now)
        coalition.redeem("restaurant", 30, at="hotel")
        for _ in range(3):
            assert count(database) == 0
        assert coalition.owed("hotel", "restaurant") == -29
    assert coalition.owed("hotel", "restaurant") == 71
    count(database)
    assert count(database) > 0
    assert counted(coalition) == [(0, 71)]
    assert coalition.owed("hotel", "restaurant") == 71
    assert coalition.shop.differences() == []


def test_many_at_once_count_everything_once(coalition: Coalition) -> None:
    """Runs beside each other and beside tills."""
    database = coalition.database

    def runs() -> None:
        for _ in range(8):
            count(database)

    def till(issuer: str, acceptor: str) -> None:
        for _ in range(12):
            coalition.redeem(issuer, 1, at=acceptor)

    pairs = [("hotel", "restaurant"), ("restaurant", "hotel")]
    threads = [threading.Thread(target=runs) for _ in range(3)]
    threads += [threading.Thread(target=till, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count(database)
    count(database)
    assert counted(coalition) == [(0, 0)]
    assert coalition.owed("hotel", "restaurant") == 0
    assert coalition.shop.differences() == []


def test_a_statement_that_overtakes_a_run_counts_nothing_twice(coalition: Coalition) -> None:
    """What a run adds between reading the mark and reading the sums is above that mark."""
    shop = coalition.shop
    coalition.redeem("hotel", 10, at="restaurant", now=shop.days(-2))
    with coalition.database.read_tx() as session:
        before = clearing_days.mark(session)
    count(coalition.database)
    assert count(coalition.database) > before
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clearing_days, "mark", lambda session: before)
        (told,) = coalition.statements("hotel", shop.now, shop.days(1))
        assert told.opening == 10
        coalition.redeem("hotel", 3, at="restaurant", now=shop.now)
        (line,) = coalition.lines("hotel", shop.now, shop.days(1))
        assert (line.amount, line.total) == (3, 13)


@pytest.mark.parametrize(
    ("damage", "stored"),
    [
        ("UPDATE clearing_days SET amount = amount + 1", 11),
        ("DELETE FROM clearing_days", 0),
        ("UPDATE clearing_days SET day = day + 1", 0),
        ("UPDATE clearing_mark SET entry_id = 0", 10),
    ],
)
def test_what_is_counted_wrongly_is_named(coalition: Coalition, damage: str, stored: int) -> None:
    """A sum, a day, or a mark that the entries do not bear out."""
    coalition.redeem("hotel", 10, at="restaurant")
    count(coalition.database)
    count(coalition.database)
    assert coalition.shop.differences() == []
    with coalition.database.write_tx() as session:
        session.execute(text(damage))
    said = 0 if "mark" in damage else 10
    day = coalition.shop.now.date()
    assert (
        f"hotel and restaurant on {day}: {stored} in points:all was counted,"
        f" but the entries say {said}." in coalition.shop.differences()
    )


def test_lines_go_on_from_before_the_period(coalition: Coalition) -> None:
    """A cursor of another period leaves nothing out of this one."""
    shop = coalition.shop
    coalition.redeem("hotel", 10, at="restaurant", now=shop.days(-2))
    (early,) = coalition.lines("hotel", shop.days(-3), shop.days(-1))
    coalition.redeem("hotel", 5, at="restaurant", now=shop.days(-1))
    after = (early.at - timedelta(hours=1), early.id)
    found = coalition.lines("hotel", shop.days(-1), shop.days(1), after=after)
    assert [(line.amount, line.total) for line in found] == [(5, 15)]
