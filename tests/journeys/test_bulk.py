"""A credit of very many cards: purchases go first, a kill costs nothing, pausing is felt at once.

Real worker processes, a real push receiver. The long form credits 100,000 cards.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from bench.pushing import Shop, shop
from walletsvc.cards import bulk_credit
from walletsvc.cli.run import command_line
from walletsvc.core.actor import OPERATOR, SYSTEM
from walletsvc.jobs.bulk import BulkJob, BulkState, service
from walletsvc.ledger.service import credit
from walletsvc.ledger.verify import differences
from walletsvc.programmes.models import Programme

LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
CARDS = 100_000 if LONG else 3000
KILLS = 12 if LONG else 2
PATIENCE = 1800.0 if LONG else 120.0
POINTS = 25


@pytest.fixture(scope="module")
def bench() -> Iterator[Shop]:
    """A shop whose members all hold their pass; the ledger knows where their points are from."""
    with shop(CARDS) as made:
        with made.installation.database.write_tx() as session:
            session.execute(text("UPDATE accounts SET balance = 0 WHERE kind = 'customer'"))
        yield made


def begin(bench: Shop) -> str:
    """Begin a credit of every card; the job's id."""
    with bench.installation.database.write_tx() as session:
        programme = session.exec(select(Programme)).one()
        return bulk_credit.begin(
            session,
            programme=programme,
            amount=POINTS,
            reason="test",
            actor=OPERATOR,
            now=bench.installation.clock(),
        ).public_id


def job_of(bench: Shop, job_id: str) -> BulkJob:
    with bench.installation.database.read_tx() as session:
        return service.find(session, job_id)


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


def holders(session: Session, count: int) -> list[tuple[int, str]]:
    """Accounts that the job comes to last, and the push tokens of their phones."""
    rows = session.execute(
        text(
            "SELECT c.account_id, d.push_token FROM cards c JOIN passes p ON p.card_id = c.id"
            " JOIN registrations r ON r.pass_id = p.id JOIN devices d ON d.id = r.device_id"
            " ORDER BY c.account_id DESC LIMIT :count"
        ),
        {"count": count},
    )
    return [(account_id, token) for account_id, token in rows]


def buy(bench: Shop, account_id: int, token: str) -> float:
    """A purchase-like change; the seconds from its commit until its push was received."""
    assert bench.sink.told(token) == 0
    with bench.installation.database.write_tx() as session:
        credit(
            session,
            account_id,
            1,
            source="purchase",
            actor=SYSTEM,
            reason="test",
            now=bench.installation.clock(),
        )
    committed = time.monotonic()
    until(lambda: bench.sink.told(token) > 0)
    return bench.sink.told(token) - committed


def credited(bench: Shop) -> list[tuple[int, int]]:
    """How often cards were credited by jobs, and how many cards that often."""
    with bench.installation.database.read_tx() as session:
        rows = session.execute(
            text(
                "SELECT times, count(*) FROM (SELECT count(l.id) AS times FROM accounts a"
                " LEFT JOIN lots l ON l.account_id = a.id AND l.source = 'bulk-credit'"
                " WHERE a.kind = 'customer' GROUP BY a.id) counted GROUP BY times"
            )
        )
        return [(times, cards) for times, cards in rows]


def test_purchases_overtake_a_credit_and_pausing_it_is_felt_at_once(bench: Shop) -> None:
    """Pushes of interactive changes leave in under 2 s; a pause ends the job's pushes within
    2 s; after resuming every phone was told."""
    with bench.installation.database.read_tx() as session:
        customers = holders(session, 12 if LONG else 4)
    with bench.worker("publish", "send"):
        buy(bench, *customers.pop(0))  # both processes are up
        overtaken = begin(bench)
        until(lambda: job_of(bench, overtaken).done > 0)
        waits = []
        for account_id, token in customers:
            waited = buy(bench, account_id, token)
            assert waited < 2
            job = job_of(bench, overtaken)
            if job.cursor >= account_id:
                break  # a fast machine is through already: this push may have been the job's
            waits.append(waited)
        print(f"{job.done} of {job.total} cards were credited; waits in s: {sorted(waits)}")
        assert waits, "the credit was over before the first purchase was told"
        until(lambda: job_of(bench, overtaken).state is BulkState.DONE and all_is_sent(bench))

        accepted = bench.sink.accepted()[0]
        paused = begin(bench)
        until(lambda: job_of(bench, paused).done > 0)
        with bench.installation.database.write_tx() as session:
            done = service.pause(session, paused, now=bench.installation.clock()).done
        since = time.monotonic()
        until(lambda: all_is_sent(bench))
        assert bench.sink.accepted()[1] - since < 2
        assert job_of(bench, paused).done == done < CARDS

        with bench.installation.database.write_tx() as session:
            service.resume(session, paused, now=bench.installation.clock())
        until(lambda: job_of(bench, paused).state is BulkState.DONE and all_is_sent(bench))
        assert bench.sink.accepted()[0] >= accepted + CARDS
    assert credited(bench) == [(2, CARDS)]


def all_is_sent(bench: Shop) -> bool:
    """Whether nothing is on its way to a phone.

    In the order of the way: what left the changes after the look at them is seen as a push.
    """
    return not changes(bench) and not bench.queued()


def moved_on(bench: Shop, before: BulkJob) -> bool:
    """Whether more was done, or it was found that nothing is left."""
    job = job_of(bench, before.public_id)
    return job.done > before.done or job.state is BulkState.DONE


def changes(bench: Shop) -> int:
    with bench.installation.database.read_tx() as session:
        return int(session.execute(text("SELECT count(*) FROM changes")).scalar_one())


def test_a_worker_killed_again_and_again_credits_every_card_once(bench: Shop) -> None:
    """SIGKILL in the middle of pieces: nothing lost, nothing twice, the books are right."""
    before = dict(credited(bench))
    dice = random.Random(3)
    job_id = begin(bench)
    kills = 0
    while (job := job_of(bench, job_id)).state is not BulkState.DONE:
        worker = subprocess.Popen(
            command_line("worker", "--only", "publish"), env=bench.environment
        )
        try:
            until(lambda: moved_on(bench, job))
            if kills < KILLS:
                time.sleep(dice.random() * 0.15)
                kills += 1
            else:
                until(lambda: job_of(bench, job_id).state is BulkState.DONE)
        finally:
            worker.kill()
            worker.wait()
    assert kills == KILLS, "it was over before it was killed often enough"
    assert dict(credited(bench)) == {times + 1: cards for times, cards in before.items()}
    job = job_of(bench, job_id)
    assert (job.done, job.result) == (CARDS, {"credited": CARDS})
    with bench.installation.database.read_tx() as session:
        assert list(differences(session)) == []
