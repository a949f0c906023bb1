"""One credit for many accounts: exactly what single credits would have made, only faster."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tests.ledger.shop import Shop, credit, debit
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import Conflict, InputError, NotFound, Refused
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.ledger.many import Credited
from walletsvc.ledger.service import credit_many, lock

# What an account of the property test lived through: its minimum, and postings.
HISTORY = st.tuples(
    st.sampled_from([0, -50, -500]),
    st.lists(st.integers(-120, 120).filter(bool), max_size=4),
    st.sampled_from(["open", "open", "open", "closed", "full"]),
)


def many(shop: Shop, accounts: list[int], amount: int = 10, **kwargs: Any) -> Credited:
    """`credit_many` with defaults, in a transaction of its own."""
    given_ = {"source": "gift", "actor": SYSTEM, "reason": "why", "now": shop.now, **kwargs}
    with shop.database.write_tx() as session:
        return credit_many(session, accounts, amount, **given_)


def lived(shop: Shop, history: tuple[int, list[int], str]) -> int:
    """A new account with this history."""
    minimum, postings, fate = history
    account = shop.account(min_balance=minimum)
    with shop.database.write_tx() as session:
        for amount in postings:
            if amount > 0:
                credit(session, account, amount, now=shop.now)
            else:
                try:
                    debit(session, account, -amount, now=shop.now)
                except Refused:
                    continue
        if fate == "full":
            credit(session, account, MAX_AMOUNT - 130, now=shop.now)
        if fate == "closed":
            session.execute(
                text("UPDATE accounts SET closed_at = :now WHERE id = :id"),
                {"now": shop.now, "id": account},
            )
    return account


def state(shop: Shop, account: int) -> dict[str, list[tuple[Any, ...]]]:
    """Everything the ledger knows of an account, without ids."""
    return {
        "account": shop.all("SELECT balance, held FROM accounts WHERE id = :a", a=account),
        "entries": shop.all(
            "SELECT t.type, t.actor, t.reason, t.at, t.branch_id, e.amount, e.balance_after,"
            " s.amount, c.code, s.unit_id = e.unit_id FROM ledger_entries e"
            " JOIN ledger_transactions t ON t.id = e.transaction_id"
            " JOIN ledger_entries s ON s.transaction_id = t.id AND s.id <> e.id"
            " JOIN accounts c ON c.id = s.account_id"
            " WHERE e.account_id = :a ORDER BY e.id",
            a=account,
        ),
        "lots": shop.all(
            "SELECT original, remaining, held, source, promotional, earned_at, available_from,"
            " expires_at, matured_id = transaction_id FROM lots WHERE account_id = :a ORDER BY id",
            a=account,
        ),
        "movements": shop.all(
            "SELECT m.amount, l.source FROM lot_movements m JOIN lots l ON l.id = m.lot_id"
            " WHERE l.account_id = :a ORDER BY m.id",
            a=account,
        ),
        "changes": shop.all(
            "SELECT topic, lane, at FROM changes WHERE key = :a ORDER BY id", a=account
        ),
    }


def test_it_equals_single_credits(shop: Shop) -> None:
    """Debts, closed and full accounts, dates: every row is what `credit` would have written."""

    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        histories=st.lists(HISTORY, min_size=1, max_size=5),
        amount=st.integers(1, 150),
        days=st.none() | st.integers(1, 90),
        promotional=st.booleans(),
    )
    def compare(
        histories: list[tuple[int, list[int], str]],
        amount: int,
        days: int | None,
        promotional: bool,
    ) -> None:
        ends = None if days is None else shop.now + timedelta(days=days)
        singly, together = ([lived(shop, one) for one in histories] for _ in range(2))
        closed = full = 0
        options = {"source": "gift", "promotional": promotional, "expires_at": ends}
        for account in singly:
            try:
                shop.credit(account, amount, reason="why", lane=1, **options)
            except Conflict:
                closed += 1
            except Refused:
                full += 1
        found = many(shop, together, amount, **options)
        assert found == Credited(len(histories) - closed - full, closed, full)
        for one, other in zip(singly, together, strict=True):
            assert state(shop, one) == state(shop, other)

    compare()
    assert shop.differences() == []


def test_an_account_named_twice_is_credited_once(shop: Shop) -> None:
    """A list may hold a number twice."""
    account = shop.account()
    assert many(shop, [account, account]).accounts == 1
    assert shop.balance(account) == 10


def test_the_fullest_account_takes_the_last_unit(shop: Shop) -> None:
    """MAX_AMOUNT itself still fits."""
    account = shop.account()
    shop.credit(account, MAX_AMOUNT - 10)
    assert many(shop, [account]) == Credited(1, 0, 0)
    assert many(shop, [account], 1) == Credited(0, 0, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 0},
        {"amount": MAX_AMOUNT + 1},
        {"reason": "x" * 201},
        {"source": "x" * 41},
        {"expires_at": datetime(2020, 1, 1).astimezone()},
    ],
)
def test_bad_input_is_named_and_writes_nothing(shop: Shop, wrong: dict[str, Any]) -> None:
    """The same limits as for one account."""
    account = shop.account()
    before = shop.everything()
    with pytest.raises(InputError) as caught:
        many(shop, [account], **wrong)
    assert caught.value.fields[0].field in wrong
    assert shop.everything() == before


def test_other_accounts_are_not_points_accounts(shop: Shop) -> None:
    """Certificate money, the system's own and unknown accounts: nothing is posted at all."""
    account = shop.account()
    [(system,)] = shop.all("SELECT min(id) FROM accounts WHERE kind = 'system'")
    before = shop.everything()
    for other in (shop.certificate(), system, 10**12):
        with pytest.raises(NotFound):
            many(shop, [account, other])
    assert shop.all("SELECT * FROM ledger_transactions") == before["ledger_transactions"]


def test_nobody_to_credit_is_nothing_to_do(shop: Shop) -> None:
    """An empty piece."""
    assert many(shop, []) == Credited(0, 0, 0)


def test_purchases_and_pieces_at_once_never_deadlock(shop: Shop) -> None:
    """Both lock in ascending order, whatever order the accounts are named in."""
    accounts = [shop.account() for _ in range(40)]
    for account in accounts:
        shop.credit(account, 1000)
    errors: list[BaseException] = []

    def guarded(work: Any) -> None:
        try:
            for round_ in range(10):
                work(round_)
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    def purchases(round_: int) -> None:
        """A basket that several accounts pay, named in any order."""
        with shop.database.write_tx() as session:
            lock(session, accounts[:: -1 if round_ % 2 else 1], now=shop.now)
            for account in accounts:
                debit(session, account, 1, now=shop.now)

    threads = [
        threading.Thread(target=guarded, args=(work,))
        for work in (
            lambda _: many(shop, accounts, 5),
            lambda _: many(shop, accounts[::-1], 5),
            purchases,
            purchases,
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert {shop.balance(account) for account in accounts} == {1000 + 2 * 10 * 5 - 2 * 10}
    assert shop.differences() == []


def test_points_that_are_due_repay_the_debt_before_those_that_come(shop: Shop) -> None:
    """As with a single credit: what time has brought comes first."""
    one, many = shop.account(min_balance=-100), shop.account(min_balance=-100)
    for account in (one, many):
        shop.debit(account, 30)
        shop.credit(account, 50, available_from=shop.days(1))
    shop.credit(one, 20, now=shop.days(2))
    with shop.database.write_tx() as session:
        credit_many(session, [many], 20, source="gift", actor=SYSTEM, reason="", now=shop.days(2))
    assert shop.remaining(many) == shop.remaining(one) == [20, 20]
    assert shop.balance(many) == shop.balance(one) == 40
    assert shop.differences() == []
