"""Senders are killed while balances change and Google misbehaves.

The short form runs with the suite. The long one (WALLETSVC_TEST_LONG=1) kills at least twenty
times while 2,000 saved objects change.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from tests.google import worker
from tests.google.desk import Desk, Holder, desk_fixture  # noqa: F401 - a fixture
from walletsvc.core.clock import utcnow
from walletsvc.google import breaker
from walletsvc.google.due import GOOGLE
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.signals import listening

LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
CARDS, GIFTS, KILLS = (1_600, 400, 24) if LONG else (120, 40, 4)
SEED = 20261129
PATIENCE = 240 if LONG else 60
# Importing everything takes longer than the whole test: it is done once.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.google.worker"])
# Each with a count, and whether it was applied nevertheless.
FAULTS: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("429", 15, {}),
    ("rateLimitExceeded", 10, {}),
    ("500", 15, {}),
    ("500", 15, {"applied": True}),
    ("503", 5, {"applied": True}),
    ("401", 1, {}),
    ("slow", 2, {"seconds": 0.3}),
    ("slow", 1, {"seconds": 1.8}),  # applied after the sender has hung up
    ("drop_before", 1, {}),
    ("drop_after", 1, {}),
    ("hang_before", 1, {"seconds": 1.5}),
    ("hang_after", 1, {"seconds": 1.5}),
)


class Workers:
    """Sender processes of one desk."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self._desk = desk
        self._log = folder / "workers.log"
        self._running: list[ForkServerProcess] = []

    def start(self) -> None:
        """Start another."""
        desk = self._desk
        own = (desk.database.conninfo, desk.google.base_url, desk.key, self._log)
        process = FORKS.Process(target=worker.main, args=own, daemon=True)
        process.start()
        self._running.append(process)

    def wait_for(self, count: int) -> None:
        """Wait until so many are at work."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with self._desk.database.read_tx() as session:
                if listening(session).get(GOOGLE, 0) >= count:
                    return
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def kill(self, index: int) -> None:
        """SIGKILL one."""
        process = self._running.pop(index)
        process.kill()
        process.join()

    def stop(self) -> list[int | None]:
        """End all; their exit codes."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.join(30)
        codes = [process.exitcode for process in self._running]
        self._running.clear()
        return codes

    def log(self) -> str:
        """The end of what they said."""
        return self._log.read_text()[-3000:] if self._log.exists() else ""


@pytest.fixture(name="workers")
def workers_fixture(desk: Desk, tmp_path: Path) -> Iterator[Workers]:
    """No worker yet."""
    workers = Workers(desk, tmp_path)
    yield workers
    workers.stop()


def settle_down(desk: Desk, workers: Workers) -> None:
    """No more faults and kills: wait until nothing is left to do."""
    desk.google.faults.clear()
    deadline = time.monotonic() + PATIENCE
    while desk.waiting():
        assert time.monotonic() < deadline, workers.log()
        with desk.database.write_tx() as session:
            if any(issuer.reason for issuer in breaker.status(session)):
                breaker.resume(session, None, now=utcnow())
        time.sleep(0.1)


def told(desk: Desk, holder: Holder) -> list[str]:
    """What the holder's phone was told: the balances or texts, in order."""
    return [str(each.get("fields") or each["text"]) for each in desk.buzzes(holder)]


def test_killed_senders_tell_everybody_once(desk: Desk, workers: Workers) -> None:
    """Google ends equal to the ledger, nobody is told twice of one change or more than three
    times, and our count of what was told is never too low: what nobody can know counts."""
    rng = random.Random(SEED)
    holders = desk.cards(CARDS) + desk.gifts(GIFTS)
    untouched, changing = holders[:5], holders[5:]
    workers.start()
    workers.start()
    started = time.monotonic()
    for turn in range(KILLS):
        workers.wait_for(2)
        # A few change often, beyond their allowance.
        share = changing[turn % 3 :: 3] + changing[:10]
        for piece in (share[::2], share[1::2]):
            desk.now = utcnow()
            desk.change(list(dict.fromkeys(piece)), rng.randint(1, 99), rng.choice(list(Lane)))
            for name, count, limits in rng.sample(FAULTS, 2):
                desk.google.arm(name, count=count, **limits)
            time.sleep(rng.uniform(0.05, 0.6))
        workers.kill(rng.randrange(2))
        workers.start()
    changed = time.monotonic()
    settle_down(desk, workers)
    # How much of the above was one change or many is chance. These are beyond any allowance.
    for _ in range(4):
        desk.now = utcnow()
        desk.change(changing[:10], 1)
        settle_down(desk, workers)
    assert set(workers.stop()) <= {0, -signal.SIGTERM}
    ended = time.monotonic()
    print(f"{KILLS} kills in {changed - started:.0f} + {ended - changed:.0f} s; {answers(desk)}")
    assert [each for each in holders if desk.shown(each) != desk.balance(each)] == []
    said = {holder: told(desk, holder) for holder in holders}
    assert [(each, texts) for each, texts in said.items() if len(set(texts)) < len(texts)] == []
    assert max(map(len, said.values())) <= 3
    rows = desk.rows("SELECT pass_id, count(*) AS n FROM google_buzzes GROUP BY pass_id")
    counted = {row.pass_id: row.n for row in rows}
    assert {counted[each.pass_id] for each in changing[:10]} == {3}
    assert not {each.pass_id for each in untouched} & set(counted)
    assert {each.pass_id for each in changing} <= set(counted)
    assert [e for e, texts in said.items() if len(texts) > counted.get(e.pass_id, 0)] == []
    # What nobody could know of is the exception.
    assert sum(map(len, said.values())) > sum(counted.values()) / 4
    # Google never had to refuse a fourth.
    assert not [e for e in desk.google.log() if e["reason"] == "quotaExceeded"]


def answers(desk: Desk) -> dict[str, int]:
    """What Google answered, by status and fault."""
    counts = Counter(f"{e['status']} {e.get('fault') or ''}".strip() for e in desk.google.log())
    return dict(counts)
