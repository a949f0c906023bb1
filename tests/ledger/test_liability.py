"""What is owed at any moment is what was owed then, whatever happened since."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.ledger.shop import Shop, credit
from walletsvc.core.errors import WalletsvcError
from walletsvc.ledger import due, service
from walletsvc.ledger.liability import Certificates, Liability, Points, liability
from walletsvc.ledger.models import AccountKind, Hold, Transaction
from walletsvc.merchants.service import create_organisation


def owed(shop: Shop, at: datetime, **options: Any) -> Liability:
    """The liability at a moment."""
    with shop.database.read_tx() as session:
        return liability(session, at, **options)


def month(ends: datetime | None) -> date | None:
    """The month of the last day on which points may be spent, in UTC."""
    return None if ends is None else (ends - timedelta(microseconds=1)).date().replace(day=1)


def snapshot(shop: Shop) -> dict[str, Any]:
    """What the tables say now, added up by hand."""
    lots: dict[bool, Counter[date | None]] = {True: Counter(), False: Counter()}
    for matured, ends, remaining in shop.all(
        "SELECT matured_id IS NOT NULL, expires_at, remaining FROM lots WHERE remaining > 0"
    ):
        lots[matured][month(ends)] += remaining
    holders = shop.all("SELECT balance FROM accounts WHERE kind = 'customer'")
    money = [
        row[0]
        for row in shop.all("SELECT balance FROM accounts WHERE kind = 'certificate'")
        if row[0]
    ]
    pending = shop.all(
        "SELECT coalesce(sum(e.amount), 0) FROM ledger_entries e"
        " JOIN accounts a ON a.id = e.account_id WHERE a.code = 'pending'"
    )
    return {
        "available": dict(lots[True]),
        "future": dict(lots[False]),
        "debts": sum(-row[0] for row in holders if row[0] < 0),
        "balance": sum(row[0] for row in holders),
        "pending": pending[0][0],
        "owed": sum(money),
        "count": len(money),
    }


def told(found: Liability) -> dict[str, Any]:
    """The same from a liability of one organisation."""
    points = next(iter(found.points), Points("bakery", "points:bakery", 0))
    money = next(iter(found.certificates), Certificates("bakery", "RUB", 2, 0, 0))
    return {
        "available": points.available,
        "future": points.future,
        "debts": points.debts,
        "balance": points.balance,
        "pending": points.future_total,
        "owed": money.owed,
        "count": money.count,
    }


class Life:
    """A random life of a few accounts and certificates."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop, self.dice = shop, random.Random(seed)
        self.accounts = [shop.account(min_balance=-40) for _ in range(4)]
        self.certificates = [shop.certificate() for _ in range(2)]
        self.done: list[Transaction] = []
        self.holds: list[Hold] = []
        self.day = 0.0

    def step(self) -> None:
        """One thing that happens; refusals are part of life."""
        what: Callable[[], None] = self.dice.choice(
            [
                self.credit,
                self.credit,
                self.debit,
                self.undo,
                self.settle,
                self.certificate,
                self.hold,
                self.capture,
                self.transfer,
                self.merge,
            ]
        )
        with suppress(WalletsvcError):
            what()

    @property
    def now(self) -> datetime:
        return self.shop.days(self.day)

    def credit(self) -> None:
        dice, starts = self.dice, self.day + self.dice.choice((0, 0, 7, 20))
        ends = self.shop.days(starts + dice.choice((5, 40, 70))) if dice.random() < 0.8 else None
        self.done.append(
            self.shop.credit(
                dice.choice(self.accounts),
                dice.randint(1, 60),
                now=self.now,
                available_from=self.shop.days(starts),
                expires_at=ends,
            )
        )

    def debit(self) -> None:
        account = self.dice.choice(self.accounts)
        self.done.append(self.shop.debit(account, self.dice.randint(1, 50), now=self.now))

    def undo(self) -> None:
        if self.done:
            amount = self.dice.choice((None, 1, 9))
            self.shop.reverse(self.dice.choice(self.done), amount=amount, now=self.now)

    def settle(self) -> None:
        due.settle_all(self.shop.database, self.now)

    def certificate(self) -> None:
        account = self.dice.choice(self.certificates)
        verb = self.dice.choice((self.shop.credit, self.shop.debit))
        verb(account, self.dice.choice((10, 10, 25)), now=self.now)

    def hold(self) -> None:
        account, amount = self.dice.choice(self.accounts), self.dice.randint(1, 15)
        until = self.shop.days(self.day + 1)
        self.holds.append(self.shop.hold(account, amount, now=self.now, expires_at=until))

    def capture(self) -> None:
        if self.holds:
            chosen = self.holds.pop()
            amount = self.dice.randint(1, chosen.amount)
            self.done.append(self.shop.capture(chosen, amount, now=self.now))

    def transfer(self) -> None:
        giver, taker = self.dice.choice(self.accounts), self.shop.account(min_balance=-40)
        self.accounts.append(taker)
        self.shop.transfer(giver, taker, self.dice.randint(1, 8), now=self.now)

    def merge(self) -> None:
        leaving, heir = self.dice.sample(self.accounts, 2)
        if self.dice.random() < 0.5:
            return
        self.shop.merge(leaving, heir, now=self.now)
        self.accounts[self.accounts.index(leaving)] = self.shop.account(min_balance=-40)


@pytest.mark.parametrize("seed", range(6))
def test_any_past_moment_is_as_it_was(shop: Shop, seed: int) -> None:
    """Random lives: later spending, ends, reversals, mergers change no former answer."""
    life = Life(shop, seed)
    then: dict[datetime, dict[str, Any]] = {}
    for _ in range(14):
        for _ in range(4):
            life.step()
        then[life.now] = snapshot(shop)
        life.day += life.dice.choice((0.5, 3, 9))  # holds last a day
    assert shop.differences() == []
    for at, expected in then.items():
        assert told(owed(shop, at)) == expected, at
    before = shop.now - timedelta(seconds=1)
    assert owed(shop, before) == Liability(before, (), ())


def test_the_lives_have_everything_in_them(shop: Shop) -> None:
    """The test above tests what it says."""
    for seed in (0, 1, 2):
        life = Life(shop, seed)
        for _ in range(56):
            life.step()
            life.day += 0.5
    kinds = {row[0] for row in shop.all("SELECT DISTINCT type FROM ledger_transactions")}
    assert kinds == {
        "credit", "debit", "reversal", "accrual", "maturity", "expiry", "capture", "transfer",
        "merge",
    }  # fmt: skip


def test_the_month_is_that_of_the_last_day_in_the_zone(shop: Shop) -> None:
    """Points that end with the year end in December wherever the shop is."""
    account = shop.account()
    shop.credit(account, 10, expires_at=datetime(2026, 12, 31, 21, tzinfo=UTC))  # Moscow
    zones = {shop.points_id: "Europe/Moscow"}
    assert owed(shop, shop.now, zones=zones).points[0].available == {date(2026, 12, 1): 10}
    shop.debit(account, 10)
    shop.credit(account, 20, expires_at=datetime(2027, 1, 1, 5, tzinfo=UTC))  # New York
    for zone, found in (("America/New_York", date(2026, 12, 1)), ("UTC", date(2027, 1, 1))):
        answer = owed(shop, shop.now, zones={shop.points_id: zone})
        assert answer.points[0].available == {found: 20}


def test_each_organisation_and_unit_has_its_own(shop: Shop) -> None:
    """An organisation is told its own only."""
    shop.credit(shop.account(), 10)
    shop.credit(shop.certificate(), 500)
    indebted = shop.account(min_balance=-50)
    shop.debit(indebted, 30)
    with shop.database.write_tx() as session:
        cafe = create_organisation(session, slug="cafe", name="Кафе", now=shop.now)
        theirs = service.open_account(
            session,
            organisation_id=cafe.id,
            unit_id=shop.points_id,
            kind=AccountKind.CUSTOMER,
            now=shop.now,
        )
        credit(session, theirs.id, 7, now=shop.now, available_from=shop.days(1))
    own = Points("bakery", "points:bakery", 0, {None: 10}, {}, -20)
    foreign = Points("cafe", "points:bakery", 0, {}, {None: 7}, 0)
    money = Certificates("bakery", "RUB", 2, 500, 1)
    assert own.debts == 30
    assert owed(shop, shop.now) == Liability(shop.now, (own, foreign), (money,))
    assert owed(shop, shop.now, organisation_id=cafe.id) == Liability(shop.now, (foreign,), ())
