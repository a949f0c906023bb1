"""Accounts that join and leave at random stay clean."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import datetime

import pytest

from tests.ledger.shop import Shop
from walletsvc.core.errors import (
    AlreadyReversed,
    InsufficientFunds,
    Refused,
)
from walletsvc.ledger import service
from walletsvc.ledger.models import Transaction


class Chance:
    """Several accounts and everything that may happen to them, drawn from one seed."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop = shop
        self.dice = random.Random(seed)
        self.now = shop.now
        self.accounts = [shop.account(min_balance=-60) for _ in range(4)]
        self.old = list(self.accounts)
        self.posted: list[Transaction] = []
        # How many points there are of each end: moving them must not change it.
        self.day = 0

    def pick(self) -> int:
        """Any account that somebody may still name, merged ones too."""
        return self.dice.choice(self.old)

    def step(self) -> None:
        match self.dice.choice("ccccddddrrrrmttw"):
            case "c":
                self.credit()
            case "d":
                self.posted.append(
                    self.shop.debit(self.pick(), self.dice.randint(1, 90), now=self.now)
                )
            case "r" if self.posted:
                amount = self.dice.choice([None, self.dice.randint(1, 40)])
                which = self.dice.choice(self.posted)
                self.shop.reverse(which, amount=amount, now=self.now)
            case "m" if len(self.accounts) > 1:
                self.merge()
            case "t":
                self.leave()
            case "w":
                self.day += 1
                self.now = self.shop.days(self.day)

    def credit(self) -> None:
        starts = self.dice.choice([None, None, self.shop.days(self.day + 2)])
        ends = self.dice.choice([None, self.shop.days(self.day + self.dice.randint(3, 12))])
        self.posted.append(
            self.shop.credit(
                self.pick(),
                self.dice.randint(1, 80),
                now=self.now,
                available_from=starts,
                expires_at=ends,
            )
        )

    def worth(self, accounts: list[int]) -> tuple[int, dict[datetime | None, int]]:
        """What they have together, and the points by their end."""
        rows = self.shop.all(
            "SELECT expires_at, sum(remaining)::bigint FROM lots WHERE account_id = ANY(:ids)"
            " AND remaining > 0 GROUP BY expires_at",
            ids=accounts,
        )
        return sum(self.shop.balance(a) for a in accounts), dict(rows)

    def settled(self, pair: list[int]) -> tuple[int, dict[datetime | None, int]]:
        with self.shop.database.write_tx() as session:
            service.lock(session, pair, now=self.now)
        return self.worth(pair)

    def merge(self) -> None:
        pair = self.dice.sample(self.accounts, 2)
        balance, points = self.settled(pair)
        in_debt = min(self.shop.balance(a) for a in pair) < 0
        self.shop.merge(*pair, now=self.now)
        self.accounts.remove(pair[0])
        after = self.worth(pair)
        assert after[0] == balance
        if not in_debt:
            assert after[1] == points

    def leave(self) -> None:
        source, target = self.dice.choice(self.accounts), self.shop.account(min_balance=-60)
        before = self.settled([source, target])
        self.shop.transfer(source, target, self.dice.randint(1, 60), now=self.now)
        assert self.worth([source, target]) == before
        self.accounts.append(target)
        self.old.append(target)


@pytest.mark.parametrize("seed", range(12))
def test_random_histories_with_joining_and_leaving_stay_clean(shop: Shop, seed: int) -> None:
    """Whatever happens in whatever order: sums and dates stay, and verification finds nothing."""
    chance = Chance(shop, seed)
    for _ in range(70):
        with suppress(AlreadyReversed, InsufficientFunds, Refused):
            chance.step()
    assert shop.differences() == []
    assert {row[0] for row in shop.all("SELECT type FROM ledger_transactions")} >= {
        "merge", "transfer", "reversal", "maturity",
    }  # fmt: skip
