"""Random histories of one account: the ledger and a small model agree after every step."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.ledger.reference import ModelAccount, ModelDebit, ModelLot, TooLittle
from tests.ledger.shop import Shop
from walletsvc.core.errors import AlreadyReversed, InsufficientFunds
from walletsvc.ledger import queries
from walletsvc.ledger.models import Transaction

LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
HOW_MANY = settings(
    max_examples=400 if LONG else 16,
    stateful_step_count=50 if LONG else 30,
    derandomize=not LONG,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
T = TypeVar("T")
AMOUNTS = st.integers(1, 120)


def foretell(call: Callable[[], T]) -> tuple[T | None, int]:
    """What the model does, or None and what it would have allowed."""
    try:
        return call(), 0
    except TooLittle as refused:
        return None, refused.available


class AccountMachine(RuleBasedStateMachine):
    """One account per history, in the shop of the test."""

    shop: Shop

    @initialize(minimum=st.sampled_from([0, -40, -200]))
    def open(self, minimum: int) -> None:
        self.now = self.shop.now
        self.account = self.shop.account(min_balance=minimum)
        self.model = ModelAccount(minimum)
        self.posted: list[tuple[Transaction, ModelLot | ModelDebit]] = []
        self.undone: list[Transaction] = []

    @rule(days=st.integers(1, 15))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)

    @rule(amount=AMOUNTS, days=st.none() | st.integers(1, 40))
    def credit(self, amount: int, days: int | None) -> None:
        ends = None if days is None else self.now + timedelta(days=days)
        done = self.shop.credit(self.account, amount, now=self.now, expires_at=ends)
        self.posted.append((done, self.model.credit(amount, ends)))

    @rule(amount=AMOUNTS)
    def debit(self, amount: int) -> None:
        expected, available = foretell(lambda: self.model.debit(amount, self.now))
        if expected is None:
            with pytest.raises(InsufficientFunds) as caught:
                self.shop.debit(self.account, amount, now=self.now)
            assert caught.value.data == {"available": available}
            return
        self.posted.append((self.shop.debit(self.account, amount, now=self.now), expected))

    @precondition(lambda self: self.posted)
    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.posted) - 1))
        done, what = self.posted[place]
        expected, available = foretell(lambda: self.model.undo(what, self.now))
        if expected is None:
            with pytest.raises(InsufficientFunds) as caught:
                self.shop.reverse(done, now=self.now)
            assert caught.value.data == {"available": available}
            return
        self.shop.reverse(done, now=self.now)
        self.undone.append(done)
        del self.posted[place]

    @precondition(lambda self: self.undone)
    @rule(data=st.data())
    def reverse_again(self, data: st.DataObject) -> None:
        with pytest.raises(AlreadyReversed):
            self.shop.reverse(data.draw(st.sampled_from(self.undone)), now=self.now)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "model"):
            return
        lots = self.shop.all(
            "SELECT original, remaining, expires_at FROM lots WHERE account_id = :a ORDER BY id",
            a=self.account,
        )
        assert lots == [(lot.original, lot.remaining, lot.ends) for lot in self.model.lots]
        assert self.shop.balance(self.account) == self.model.balance
        assert sum(lot[1] for lot in lots) == max(self.model.balance, 0)

    def teardown(self) -> None:
        assert self.shop.differences() == []
        if hasattr(self, "account"):
            with self.shop.database.read_tx() as session:
                rows = queries.history(session, self.account, limit=1)
            assert [row.balance_after for row in rows] in ([], [self.model.balance])


def test_random_histories_agree_with_the_model(shop: Shop) -> None:
    """Credits, debits, reversals, ends and debts in any order leave exactly the model's lots."""
    machine = type("Machine", (AccountMachine,), {"shop": shop})
    run_state_machine_as_test(machine, settings=HOW_MANY)
