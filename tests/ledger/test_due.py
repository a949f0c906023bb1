"""What time brings, for many accounts at once: exactly what settling one by one would have made."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session

from tests.concurrency.interleave import checkpoints, interleave
from tests.ledger.shop import Shop, credit, debit, hold, reverse
from tests.ledger.test_against_model import LONG
from tests.ledger.test_many import state
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import InsufficientFunds, Refused, WalletsvcError
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import due, service
from walletsvc.ledger.accounts import system_account
from walletsvc.ledger.due import Due, Settled
from walletsvc.ledger.models import SystemCode, TransactionType
from walletsvc.ledger.posting import Leg, Posting, post

# A posting: how much, quarters of a day until it is available and until it ends, how much is then
# held and for how many: a hold lasts a day at most.
LIFE = st.lists(
    st.tuples(
        st.integers(-90, 120).filter(bool),
        st.integers(0, 3),
        st.none() | st.integers(1, 3),
        st.integers(0, 60),
        st.integers(1, 4),
    ),
    max_size=6,
)


def lived(shop: Shop, life: list[tuple[int, int, int | None, int, int]]) -> int:
    """A new account with this life, lived in a moment."""
    account = shop.account(min_balance=-100)
    with shop.database.write_tx() as session:
        for amount, starts, lasts, held, until in life:
            if amount > 0:
                ends = None if lasts is None else quarters(shop, starts + lasts)
                begins = quarters(shop, starts)
                credit(
                    session, account, amount, now=shop.now, available_from=begins, expires_at=ends
                )
            else:
                try:
                    debit(session, account, -amount, now=shop.now)
                except Refused:
                    continue
            if held:
                _hold(shop, session, account, held, quarters(shop, until))
    return account


def quarters(shop: Shop, count: float) -> datetime:
    """So many quarters of a day from now."""
    return shop.days(count / 4)


def _hold(shop: Shop, session: Session, account: int, amount: int, until: datetime) -> None:
    """Hold `amount`, or all that can be held when that is less."""
    options = {"acceptor_id": shop.organisation_id, "now": shop.now, "expires_at": until}
    try:
        hold(session, account, amount, **options)
    except InsufficientFunds as error:
        if available := error.data["available"]:
            hold(session, account, available, **options)


def one_by_one(shop: Shop, account: int, now: datetime) -> None:
    """Settle by locking, then write off what has ended: the rules in so many words."""
    with shop.database.write_tx() as session:
        before = service.lock(session, [account], now=now, lane=Lane.BULK)[account]
        ended = session.execute(
            text(
                "SELECT id, remaining - held FROM lots WHERE account_id = :a AND expires_at <= :now"
                " AND matured_id IS NOT NULL AND remaining > held ORDER BY id"
            ),
            {"a": account, "now": now},
        ).all()
        lost = sum(part for _, part in ended)
        if not lost:
            return
        breakage = system_account(
            session,
            organisation_id=shop.organisation_id,
            unit_id=before.unit_id,
            code=SystemCode.BREAKAGE,
            now=now,
        )
        posting = Posting(
            organisation_id=shop.organisation_id,
            type=TransactionType.EXPIRY,
            actor=SYSTEM,
            reason="",
            at=now,
            legs=[
                Leg(account, before.unit_id, -lost, before.standing.balance - lost),
                Leg(breakage, before.unit_id, lost),
            ],
            moves={lot: -part for lot, part in ended},
        )
        post(session, posting, lane=Lane.BULK)


def whole(shop: Shop, account: int) -> dict[str, list[tuple[Any, ...]]]:
    """All of an account without ids: what `state` tells, and its holds."""
    found = state(shop, account)
    found["movements"] = shop.all(
        "SELECT t.type, t.at, m.amount, l.original, l.available_from, l.expires_at"
        " FROM lot_movements m"
        " JOIN lots l ON l.id = m.lot_id JOIN ledger_transactions t ON t.id = m.transaction_id"
        " WHERE l.account_id = :a ORDER BY t.id, l.id",
        a=account,
    )
    found["matured"] = shop.all(
        "SELECT t.type, t.at FROM lots l LEFT JOIN ledger_transactions t ON t.id = l.matured_id"
        " WHERE l.account_id = :a ORDER BY l.id",
        a=account,
    )
    found["holds"] = shop.all(
        "SELECT state, amount, closed_at FROM holds WHERE account_id = :a ORDER BY id", a=account
    )
    return found


def test_it_equals_one_by_one(shop: Shop) -> None:
    """Debts, holds, lots for later, ends: every row is what single steps would have written."""

    @settings(
        max_examples=200 if LONG else 15,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(lives=st.lists(LIFE, min_size=1, max_size=4), batch=st.integers(1, 3))
    def compare(lives: list[list[tuple[int, int, int | None, int, int]]], batch: int) -> None:
        singly, together = ([lived(shop, life) for life in lives] for _ in range(2))
        for count in (1, 2.5, 4, 9):
            now = quarters(shop, count)
            for account in singly:
                one_by_one(shop, account, now)
            due.settle_all(shop.database, now, batch=batch)
            for one, other in zip(singly, together, strict=True):
                assert whole(shop, one) == whole(shop, other)

    compare()
    assert shop.differences() == []
    kinds = {row[0] for row in shop.all("SELECT DISTINCT type FROM ledger_transactions")}
    assert {"maturity", "expiry"} <= kinds


def test_it_counts_and_the_second_time_finds_nothing(shop: Shop) -> None:
    """Once done it is done: nothing is written again."""
    later, ending, held, idle = (shop.account() for _ in range(4))
    shop.credit(later, 10, available_from=shop.days(1))
    shop.credit(ending, 20, expires_at=shop.days(1))
    shop.credit(held, 30)
    shop.credit(idle, 40, expires_at=shop.days(3))
    shop.hold(held, 5, expires_at=shop.days(1))
    told: list[tuple[int, int]] = []
    done = due.settle_all(
        shop.database, shop.days(1), batch=2, tell=lambda done, all_: told.append((done, all_))
    )
    assert done == Settled(looked_at=3, released=1, matured=1, expired=1)
    assert told == [(2, 3), (3, 3)]
    assert [shop.balance(each) for each in (later, ending, held, idle)] == [10, 0, 30, 40]
    before = shop.everything()
    assert due.settle_all(shop.database, shop.days(1)) == Settled()
    with shop.database.write_tx() as session:  # a list that is old does no harm
        due.settle(session, [later, ending, held, idle], shop.days(1))
    assert shop.everything() == before


def test_a_moment_early_is_too_early(shop: Shop) -> None:
    """Points mature and end at their moment, not before it."""
    account = shop.account()
    shop.credit(account, 10, available_from=shop.days(1), expires_at=shop.days(2))
    for moment, balance in ((1, 10), (2, 0)):
        early = shop.days(moment) - timedelta(microseconds=1)
        assert due.settle_all(shop.database, early) == Settled()
        due.settle_all(shop.database, shop.days(moment))
        assert shop.balance(account) == balance


def test_new_points_repay_the_debt_first(shop: Shop) -> None:
    """The lots that end soonest pay it."""
    account = shop.account(min_balance=-100)
    shop.credit(account, 30, available_from=shop.days(1))
    shop.credit(account, 20, available_from=shop.days(1), expires_at=shop.days(9))
    shop.debit(account, 35)
    due.settle_all(shop.database, shop.days(1))
    assert (shop.balance(account), shop.remaining(account)) == (15, [15, 0])
    assert shop.differences() == []


def test_what_is_held_ends_when_it_is_released(shop: Shop) -> None:
    """Only what is not held is written off; the rest when the hold is over."""
    account = shop.account()
    shop.credit(account, 100, expires_at=shop.days(0.25))
    shop.hold(account, 30, expires_at=shop.days(1))
    due.settle_all(shop.database, shop.days(0.25))
    assert (shop.balance(account), shop.remaining(account)) == (30, [30])
    assert due.settle_all(shop.database, shop.days(0.5)) == Settled()
    due.settle_all(shop.database, shop.days(1))
    assert (shop.balance(account), shop.remaining(account)) == (0, [0])
    assert shop.differences() == []


def test_holds_of_certificates_end_too(shop: Shop) -> None:
    """Money has no lots, yet its holds run out."""
    certificate = shop.certificate()
    shop.credit(certificate, 100)
    shop.hold(certificate, 7, expires_at=shop.days(1))
    done = due.settle_all(shop.database, shop.days(1), (Due.HOLDS,))
    assert done == Settled(looked_at=1, released=1)
    assert shop.all("SELECT held FROM accounts WHERE id = :a", a=certificate) == [(0,)]


def test_passes_learn_of_it_behind_purchases(shop: Shop) -> None:
    """Changes go into the lane for bulk work."""
    account = shop.account()
    shop.credit(account, 10, available_from=shop.days(1), expires_at=shop.days(2))
    shop.all("SELECT 1")
    due.settle_all(shop.database, shop.days(1))
    due.settle_all(shop.database, shop.days(2))
    assert shop.all("SELECT topic, key, lane FROM changes ORDER BY id") == [
        ("account", account, Lane.INTERACTIVE),
        ("account", account, Lane.BULK),
        ("account", account, Lane.BULK),
    ]


class Killed(Exception):
    """The worker died."""


def test_killed_in_between_it_goes_on(shop: Shop) -> None:
    """What was committed is done, the rest is done next time, nothing twice."""
    accounts = [shop.account() for _ in range(5)]
    for account in accounts:
        shop.credit(account, 10, available_from=shop.days(1))

    def die(done: int, total: int) -> None:
        if done == 4:
            raise Killed

    with pytest.raises(Killed):
        due.settle_all(shop.database, shop.days(1), batch=2, tell=die)
    assert [shop.balance(account) for account in accounts] == [10, 10, 10, 10, 0]
    assert due.settle_all(shop.database, shop.days(1), batch=2).matured == 1
    assert [shop.balance(account) for account in accounts] == [10] * 5
    assert shop.differences() == []


def _tills(shop: Shop, accounts: Sequence[int], dice: random.Random) -> None:
    """Somebody at a till, after the points became due."""
    for _ in range(4):
        account, now = dice.choice(accounts), shop.days(1)
        try:
            with shop.database.write_tx() as session:
                verb = dice.choice(("credit", "debit", "hold", "undo"))
                if verb == "credit":
                    credit(session, account, 9, now=now, expires_at=shop.days(dice.choice((2, 3))))
                elif verb == "debit":
                    debit(session, account, dice.randint(1, 12), now=now)
                elif verb == "undo":
                    reverse(session, debit(session, account, 3, now=now).id, now=now)
                else:
                    hold(
                        session,
                        account,
                        dice.randint(1, 5),
                        acceptor_id=shop.organisation_id,
                        now=now,
                        expires_at=shop.days(2),
                    )
        except WalletsvcError:
            continue


@pytest.mark.parametrize("seed", range(12))
def test_two_jobs_and_tills_at_once(shop: Shop, seed: int) -> None:
    """In any order of statements: no deadlock, nothing twice, and the ledger adds up."""
    dice = random.Random(seed)
    accounts = [shop.account(min_balance=-20) for _ in range(4)]
    for account in accounts:
        shop.credit(account, 10, available_from=shop.days(1))
        shop.credit(account, 20, expires_at=shop.days(1))
        ends = shop.days(dice.choice((0.75, 1.5)))
        shop.hold(account, 5, now=shop.days(0.5), expires_at=ends)

    def job() -> None:
        due.settle_all(shop.database, shop.days(1), batch=3)

    def till(number: int) -> None:
        _tills(shop, accounts, random.Random(seed * 100 + number))

    with checkpoints(shop.database.engine):
        interleave(dice, [job, job, lambda: till(1), lambda: till(2)])
    due.settle_all(shop.database, shop.days(1))
    assert shop.differences() == []
    found = shop.all(
        "SELECT t.type, e.account_id, count(*) FROM ledger_transactions t"
        " JOIN ledger_entries e ON e.transaction_id = t.id"
        " JOIN accounts a ON a.id = e.account_id AND a.kind = 'customer'"
        " WHERE t.type = 'maturity' GROUP BY 1, 2"
    )
    assert sorted(row[1] for row in found) == accounts
    assert {row[2] for row in found} == {1}


def test_many_jobs_in_threads(shop: Shop) -> None:
    """Four at the same moment over many accounts: each account once."""
    accounts = [shop.account() for _ in range(60)]
    for account in accounts:
        shop.credit(account, 10, available_from=shop.days(1), expires_at=shop.days(2))
    results: list[Settled] = []
    threads = [
        threading.Thread(
            target=lambda: results.append(due.settle_all(shop.database, shop.days(2), batch=7))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert sum(each.matured for each in results) == sum(each.expired for each in results) == 60
    assert {shop.balance(account) for account in accounts} == {0}
    assert shop.differences() == []
