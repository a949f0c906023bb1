"""Many tills at once: no overdraft, no lost or doubled posting, no unhandled deadlock."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from datetime import datetime

import pytest
from sqlalchemy import text
from sqlmodel import Session

from tests.concurrency.at_once import THREADS, crashing, outcome, together
from tests.ledger.shop import Shop, credit, debit, reverse
from walletsvc.core.errors import AlreadyReversed, InsufficientFunds
from walletsvc.ledger import queries, service
from walletsvc.ledger.models import SystemCode, Transaction, UnitKind
from walletsvc.storage import idempotency
from walletsvc.storage.idempotency import Answer


def test_64_threads_on_one_account(crowd: Shop) -> None:
    """Random credits, debits and reversals at once: never below the minimum, nothing lost."""
    account = crowd.account(min_balance=-30)
    crowd.credit(account, 100, expires_at=crowd.days(30))

    def till(number: int) -> int:
        chance, moved = random.Random(number), 0
        for _ in range(6):
            amount = chance.randint(1, 60)
            verb = crowd.credit if chance.random() < 0.35 else crowd.debit
            with suppress(InsufficientFunds):
                done = verb(account, amount)
                moved += amount if verb == crowd.credit else -amount
                if chance.random() < 0.3:
                    crowd.reverse(done)
                    moved -= amount if verb == crowd.credit else -amount
        return moved

    moved = together(THREADS, till)
    assert crowd.balance(account) == 100 + sum(moved)
    assert crowd.all("SELECT min(balance_after) >= -30 FROM ledger_entries") == [(True,)]
    assert crowd.differences() == []


def test_one_certificate_drained_from_64_tills(crowd: Shop) -> None:
    """Ten redemptions fit: exactly ten succeed, whoever they are."""
    account = crowd.certificate()
    crowd.credit(account, 1_000)
    results = together(THREADS, lambda _: outcome(lambda: crowd.debit(account, 100)))
    assert Counter(results) == {"done": 10, "insufficient_funds": 54}
    assert crowd.balance(account) == 0
    assert crowd.differences() == []


def redeem_once(crowd: Shop, account: int, key: str) -> Answer:
    """A redemption as an edge does it: key and money in one transaction."""
    print_ = idempotency.fingerprint(key.encode())
    with crowd.database.write_tx() as session:
        known = idempotency.begin(session, "till", key, print_, crowd.now)
        if known:
            return known
        done = debit(session, account, 10, now=crowd.now)
        left = queries.balance(session, account)
        answer = Answer(201, f"{done.public_id} leaves {left}".encode())
        idempotency.finish(session, "till", key, answer)
        return answer


def test_one_winner_per_key_and_one_answer_to_every_retry(crowd: Shop) -> None:
    """64 threads retry 16 keys: 16 debits, and each key has one answer, now and later."""
    account = crowd.account()
    crowd.credit(account, 1_000)

    def till(number: int) -> tuple[str, Answer]:
        key = f"key-{number % 16}"
        return key, redeem_once(crowd, account, key)

    answers = together(THREADS, till)
    by_key = dict(answers)
    assert len(by_key) == 16
    assert all(answer == by_key[key] for key, answer in answers)
    assert len(set(by_key.values())) == 16
    assert crowd.balance(account) == 1_000 - 16 * 10
    assert crowd.all("SELECT count(*) FROM ledger_transactions WHERE type = 'debit'") == [(16,)]
    for key, answer in by_key.items():
        assert redeem_once(crowd, account, key) == answer
    assert crowd.differences() == []


def test_retries_of_refused_debits_never_overdraw(crowd: Shop) -> None:
    """Keys whose first try was refused stay free; the money is spent as often as it is there."""
    account = crowd.account()
    crowd.credit(account, 50)
    results = together(32, lambda n: outcome(lambda: redeem_once(crowd, account, f"key-{n % 8}")))
    assert set(results) == {"done", "insufficient_funds"}
    assert crowd.balance(account) == 0
    assert crowd.all("SELECT count(*) FROM idempotency_keys") == [(5,)]
    assert crowd.differences() == []


def test_opposite_transfers_do_not_deadlock(shop: Shop) -> None:
    """Both accounts are locked at once, in one order, whichever way the value goes."""
    accounts = [shop.account(), shop.account()]
    for account in accounts:
        shop.credit(account, 1_000)

    def transfer(number: int) -> None:
        source, target = accounts if number % 2 else reversed(accounts)
        for _ in range(10):
            with shop.database.write_tx() as session:
                service.lock(session, [source, target], now=shop.now)
                debit(session, source, 7, now=shop.now, against=SystemCode.ISSUANCE)
                credit(session, target, 7, now=shop.now)

    together(8, transfer)
    assert [shop.balance(account) for account in accounts] == [1_000, 1_000]
    assert shop.differences() == []


@pytest.mark.parametrize("kind", ["credit", "debit"])
def test_of_many_reversals_one_wins(shop: Shop, kind: str) -> None:
    """A refund pressed at eight tills pays once."""
    account = shop.account()
    given = shop.credit(account, 100)
    target = given if kind == "credit" else shop.debit(account, 100)
    results = together(8, lambda _: outcome(lambda: shop.reverse(target)))
    assert Counter(results) == {"done": 1, AlreadyReversed.code: 7}
    assert shop.balance(account) == (0 if kind == "credit" else 100)
    assert shop.differences() == []


def test_a_refund_against_redemptions(shop: Shop) -> None:
    """Undoing a sale races with spending: either the money was there or the refund is refused."""
    account = shop.certificate()
    sold = shop.credit(account, 100)
    results = together(
        8,
        lambda n: outcome(lambda: shop.debit(account, 30) if n else shop.reverse(sold)),
    )
    spent = results[1:].count("done")
    assert (results[0], spent) in {("done", 0), ("insufficient_funds", 3)}
    assert shop.balance(account) == (0 if results[0] == "done" else 10)
    assert shop.differences() == []


def test_system_accounts_are_made_once(shop: Shop, now: datetime) -> None:
    """Eight transactions that need the same new system accounts agree on them."""
    with shop.database.write_tx() as session:
        unit = service.ensure_unit(session, code="EUR", kind=UnitKind.CURRENCY, scale=2).id

    def ask(number: int) -> int:
        with shop.database.write_tx() as session:
            code = list(SystemCode)[number % 2]
            return service.system_account(
                session, organisation_id=shop.organisation_id, unit_id=unit, code=code, now=now
            )

    answers = together(8, ask)
    assert len(set(answers[::2])) == len(set(answers[1::2])) == 1
    made = shop.all("SELECT count(*) FROM accounts WHERE unit_id = :u", u=unit)
    assert made == [(len(SystemCode) - 1,)]


def test_units_are_made_once(shop: Shop) -> None:
    """Eight transactions that need the same new unit agree on it."""

    def ask(_: int) -> int:
        with shop.database.write_tx() as session:
            return service.ensure_unit(session, code="USD", kind=UnitKind.CURRENCY, scale=2).id

    assert len(set(together(8, ask))) == 1


@pytest.mark.parametrize("verb", ["credit", "debit", "reverse credit", "reverse debit"])
def test_a_crash_between_any_two_steps_leaves_nothing(shop: Shop, verb: str) -> None:
    """Dying after any statement leaves the ledger as it was; the retry does the work once."""
    account = shop.account(min_balance=-500)
    given = shop.credit(account, 100)
    spent: Transaction = shop.debit(account, 250)
    shop.credit(account, 200)

    def work(session: Session) -> None:
        idempotency.begin(session, "till", "key", b"print", shop.now)
        match verb:
            case "credit":
                credit(session, account, 10, now=shop.now)
            case "debit":
                debit(session, account, 10, now=shop.now)
            case _:
                target = given if verb == "reverse credit" else spent
                reverse(session, target.id, now=shop.now)
        idempotency.finish(session, "till", "key", Answer(201, b"done"))

    before, survived = shop.everything(), 0
    while crashing(shop.database, survived, work):
        assert shop.everything() == before, f"after {survived} statements"
        survived += 1
    assert survived >= 5
    assert shop.all("SELECT count(*) FROM ledger_transactions") == [(4,)]
    assert shop.differences() == []


def test_a_lost_connection_leaves_nothing(shop: Shop) -> None:
    """The server ending the session before the commit is the same as never having begun."""
    account = shop.account()
    before = shop.everything()
    with pytest.raises(Exception, match="terminat"), shop.database.write_tx() as session:
        credit(session, account, 10, now=shop.now)
        pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with shop.database.engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        credit(session, account, 10, now=shop.now)
    assert shop.everything() == before
