"""Holds at many tills at once: value is promised once, taken once, and free when time is over."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from tests.concurrency.at_once import THREADS, crashing, outcome, together
from tests.concurrency.interleave import checkpoints, interleave
from tests.ledger.shop import Shop, debit
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import HoldClosed, InsufficientFunds
from walletsvc.ledger import service

MOMENT = timedelta(microseconds=1)
HELD = "SELECT balance, held FROM accounts WHERE id = :a"
ROUNDS = 25


def test_64_captures_of_one_hold_take_once(crowd: Shop) -> None:
    """A till whose network stutters asks again and again: one wins, the others are told."""
    account = crowd.account()
    crowd.credit(account, 100)
    made = crowd.hold(account, 60)
    results = together(THREADS, lambda _: outcome(lambda: crowd.capture(made, 50)))
    assert Counter(results) == {"done": 1, HoldClosed.code: 63}
    assert crowd.all(HELD, a=account) == [(50, 0)]
    assert crowd.differences() == []


def test_captures_against_voids_of_one_hold(crowd: Shop) -> None:
    """Either it was taken or it was released; a void after a void is no error."""
    account = crowd.account()
    crowd.credit(account, 100)
    made = crowd.hold(account, 60)

    def till(number: int) -> str:
        return outcome(lambda: crowd.capture(made) if number % 2 else crowd.void(made))

    results = together(16, till)
    captured, voided = results[1::2].count("done"), results[::2].count("done")
    assert (captured, voided) in {(1, 0), (0, 8)}
    assert crowd.all(HELD, a=account) == [(100 - 60 * captured, 0)]
    assert crowd.differences() == []


def test_holds_against_debits_never_promise_what_is_gone(crowd: Shop) -> None:
    """Thirty tens are there: thirty tills get one, whether they reserve or take."""
    account = crowd.account(min_balance=0)
    for day in (1, 2, 3):
        crowd.credit(account, 100, expires_at=crowd.days(day))

    def till(number: int) -> str:
        return outcome(lambda: crowd.hold(account, 10) if number % 2 else crowd.debit(account, 10))

    results = together(THREADS, till)
    assert Counter(results) == {"done": 30, InsufficientFunds.code: 34}
    held = results[1::2].count("done") * 10
    assert crowd.all(HELD, a=account) == [(held, held)]
    assert crowd.differences() == []


@pytest.mark.parametrize("kind", ["points", "money"])
def test_holds_against_the_reversal_of_their_credit(crowd: Shop, kind: str) -> None:
    """Either the credit was taken back and nothing is held, or what is held stays."""
    account = crowd.account() if kind == "points" else crowd.certificate()
    given = crowd.credit(account, 100)

    def till(number: int) -> str:
        return outcome(lambda: crowd.hold(account, 30) if number else crowd.reverse(given))

    results = together(8, till)
    held = results[1:].count("done")
    assert (results[0], held) in {("done", 0), (InsufficientFunds.code, 3)}
    balance = 0 if results[0] == "done" else 100
    assert crowd.all(HELD, a=account) == [(balance, 30 * held)]
    assert crowd.differences() == []


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_capture_against_the_end_of_its_time(crowd: Shop, seed: int) -> None:
    """Time passes the limit between them: the value goes to one of them, never to both.

    The till that captures read the clock before the end, the one that spends read it at the end;
    who comes first is drawn statement by statement.
    """
    account = crowd.account()
    crowd.credit(account, 100, expires_at=crowd.days(1))
    made = crowd.hold(account, 100)
    results: dict[str, str] = {}

    def capture() -> None:
        call = lambda: crowd.capture(made, now=made.expires_at - MOMENT)  # noqa: E731
        results["capture"] = outcome(call)

    def spend() -> None:
        results["spend"] = outcome(lambda: crowd.debit(account, 100, now=made.expires_at))

    with checkpoints(crowd.database.engine):
        interleave(random.Random(seed), [capture, spend])
    assert results in (
        {"capture": "done", "spend": InsufficientFunds.code},
        {"capture": HoldClosed.code, "spend": "done"},
    )
    assert crowd.all(HELD, a=account) == [(0, 0)]
    assert crowd.all("SELECT state FROM holds") == [
        ("captured" if results["capture"] == "done" else "expired",)
    ]
    assert crowd.differences() == []


def test_captures_around_the_end_of_their_time(crowd: Shop) -> None:
    """Of tills with clocks on both sides of the end at most one takes it, and none that is late."""
    account = crowd.account()
    crowd.credit(account, 100)
    made = crowd.hold(account, 100)

    def till(number: int) -> str:
        late = number % 2
        return outcome(lambda: crowd.capture(made, now=made.expires_at - MOMENT * (1 - late)))

    results = together(32, till)
    assert results[1::2] == [HoldClosed.code] * 16
    assert results[::2].count("done") <= 1
    assert crowd.all(HELD, a=account) == [(100 - 100 * results[::2].count("done"), 0)]
    assert crowd.differences() == []


def test_a_till_that_dies_locks_nothing_longer_than_it_asked_for(shop: Shop) -> None:
    """Its connection is cut in the middle of the capture: nothing moved, and no job is needed."""
    account = shop.account()
    shop.credit(account, 100)
    made = shop.hold(account, 100)
    with pytest.raises(Exception, match="terminat"), shop.database.write_tx() as session:
        service.capture(session, made.id, actor=SYSTEM, reason="", now=shop.now)
        pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with shop.database.engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        session.execute(text("SELECT 1"))
    assert shop.all(HELD, a=account) == [(100, 100)]
    assert outcome(lambda: shop.debit(account, 1)) == InsufficientFunds.code
    shop.debit(account, 100, now=made.expires_at)
    assert shop.all(HELD, a=account) == [(0, 0)]
    assert shop.differences() == []


@pytest.mark.parametrize("verb", ["hold", "capture", "void", "expire"])
def test_a_crash_between_any_two_steps_leaves_nothing(shop: Shop, verb: str) -> None:
    """Dying after any statement leaves the ledger as it was; the retry does the work once."""
    account = shop.account()
    shop.credit(account, 50, expires_at=shop.days(9))
    shop.credit(account, 50)
    made = shop.hold(account, 70)

    def work(session: Session) -> None:
        common: dict[str, Any] = {"actor": SYSTEM, "reason": "", "now": shop.now}
        match verb:
            case "hold":
                service.hold(
                    session,
                    account,
                    30,
                    acceptor_id=shop.organisation_id,
                    expires_at=made.expires_at,
                    **common,
                )
            case "capture":
                service.capture(session, made.id, 40, **common)
            case "void":
                service.void(session, made.id, now=shop.now)
            case _:
                debit(session, account, 100, now=made.expires_at)

    before, survived = shop.everything(), 0
    while crashing(shop.database, survived, work):
        assert shop.everything() == before, f"after {survived} statements"
        survived += 1
    assert survived >= 3
    expected = {"hold": (100, 100), "capture": (60, 0), "void": (100, 0), "expire": (0, 0)}
    assert shop.all(HELD, a=account) == [expected[verb]]
    assert shop.differences() == []
