"""Worker processes are killed while passes change and the push service misbehaves.

The short form runs with the suite. The long one (WALLETSVC_TEST_LONG=1) kills at least fifty
times while 5,000 passes change.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.journeys import plant as plants
from tests.journeys.plant import Holder, Plant
from walletsvc.core.clock import utcnow
from walletsvc.emulators.phone import Fleet, Phone, Pushes
from walletsvc.jobs.changes import Lane
from walletsvc.ledger.verify import differences
from walletsvc.storage.engine import Database

LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
MEMBERS, KILLS, PHONES = (5_250, 55, 6) if LONG else (105, 3, 1)
UNTOUCHED = MEMBERS // 21
SEED = 20261124
PATIENCE = 300 if LONG else 60


@pytest.fixture(name="plant")
def plant_fixture(database: Database, tmp_path: Path, signing_folder: Path) -> Iterator[Plant]:
    """An installation without members."""
    (tmp_path / "certs").symlink_to(signing_folder)
    with plants.running(database, tmp_path) as plant:
        yield plant


class LightPhones:
    """All holders' phones: each acts on its pushes as they arrive."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._by_token = {holder.token: holder for holder in plant.holders}
        self._last = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.answers: Counter[str] = Counter()
        self._thread.start()

    def stop(self) -> None:
        """Act on what has come, and stop."""
        self._end.set()
        self._thread.join(timeout=120)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._end.is_set():
            self._act(wait=0.5)
        while self._act(wait=0):
            pass

    def _act(self, wait: float) -> bool:
        entries = self._plant.entries(self._last, wait)
        pushed: dict[str, Holder] = {}
        for entry in entries:
            self._last = entry["seq"]
            self.answers[entry["fault"] or str(entry["status"])] += 1
            holder = self._by_token.get(entry["token"])
            if holder is not None:
                holder.pushes += 1
                if entry["status"] == 200:
                    pushed[holder.token] = holder
        for holder in pushed.values():
            self._plant.follow(holder)
        return bool(entries)


def misbehave(plant: Plant, rng: random.Random) -> None:
    """Something of everything that a push service does to a sender."""
    name, count = rng.choice(
        [
            ("InternalServerError", 20),
            ("ServiceUnavailable", 1),
            ("TooManyRequests", 10),
            ("Shutdown", 1),
            ("goaway", 1),
            ("close", 1),
            ("reset", 10),
            ("refuse", 10),
            ("hang", 2),
            ("silent", 1),
            ("slow", 50),
        ]
    )
    plant.fault(name, count, **({"seconds": 0.5} if name == "slow" else {}))
    plant.limit(rng.choice([1, 5, 100, 100, 100]))


def settle_down(plant: Plant) -> None:
    """No more faults and kills: wait until nothing is left to do."""
    plant.calm()
    deadline = time.monotonic() + PATIENCE
    while plant.count("changes") or plant.count("pushes"):
        assert time.monotonic() < deadline, plant.log.read_text()[-3000:]
        plant.make_due()
        time.sleep(1)
    with plant.database.read_tx() as session:
        stopped = session.execute(text("SELECT reason FROM push_channels WHERE failures > 0"))
        assert list(stopped.scalars()) == []


def balances(plant: Plant) -> dict[int, int]:
    """Every account's balance."""
    with plant.database.read_tx() as session:
        rows = session.execute(text("SELECT id, balance FROM accounts WHERE kind = 'customer'"))
        return {row.id: row.balance for row in rows}


def shown(content: dict[str, Any] | None) -> int:
    """The balance on a pass."""
    assert content is not None
    return int(content["values"]["points"])


def await_balance(phone: Phone, balance: int) -> None:
    """Wait until the phone shows it: its last push is already there."""
    deadline = time.monotonic() + 30
    while True:
        [installed] = phone.passes.values()
        if installed.package.values["points"] == balance:
            return
        assert time.monotonic() < deadline, f"{installed.package.values} instead of {balance}"
        time.sleep(0.1)


def test_killed_workers_lose_nothing(plant: Plant) -> None:
    """Every phone ends with the current balance; none is told of a pass that did not change;
    nothing is stuck, and the books are right."""
    rng = random.Random(SEED)
    plant.enrol(MEMBERS)
    untouched, changing = plant.holders[:UNTOUCHED], plant.holders[UNTOUCHED:]
    sample = changing[:PHONES]
    with Pushes(plant.control) as pushes, Fleet(pushes, PHONES) as fleet:
        for phone, holder in zip(fleet.phones, sample, strict=True):
            phone.add(plant.link(holder))
        phones = LightPhones(plant)
        for part in ("publish", "send", "send"):
            plant.start(part)
        started = time.monotonic()
        rest = list(changing)
        rng.shuffle(rest)
        for turn in range(KILLS):
            plant.await_workers()
            share = rest[turn::KILLS] + rng.sample(changing, 10)
            lane = rng.choice(list(Lane))
            for piece in (share[::2], share[1::2]):
                plant.change(list({h.token: h for h in piece}.values()), rng.randint(1, 99), lane)
                misbehave(plant, rng)
                time.sleep(rng.uniform(0.1, 0.6))
            plant.start(plant.kill(rng.randrange(len(plant.workers))))
        settle_down(plant)
        phones.stop()
        wanted = balances(plant)
        for phone, holder in zip(fleet.phones, sample, strict=True):
            await_balance(phone, wanted[holder.card.account_id])
        assert fleet.failures == []
    # One that was just started may not listen to signals yet.
    assert set(plant.stop()) <= {0, -signal.SIGTERM}
    print(f"{KILLS} kills in {time.monotonic() - started:.0f} s; {dict(phones.answers)}")
    wrong = [h for h in plant.holders if shown(h.shown) != wanted[h.card.account_id]]
    assert wrong == []
    assert [holder for holder in untouched if holder.pushes] == []
    assert all(holder.pushes for holder in changing)
    with plant.database.read_tx() as session:
        assert list(differences(session)) == []


def test_a_stopped_sender_tells_every_phone_once(plant: Plant) -> None:
    """SIGTERM in the middle of a broadcast: what is in flight is settled, what is claimed
    is put back, and the next sender goes on exactly there."""
    plant.enrol(300)
    plant.fault("slow", 300, seconds=0.3)
    plant.change(plant.holders, 5, Lane.BULK)
    plant.publish()
    plant.start("send")
    deadline = time.monotonic() + PATIENCE
    while len(plant.entries(0)) < 50:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert plant.stop() == [0]
    with plant.database.read_tx() as session:
        waiting = session.execute(text("SELECT attempts, due_at FROM pushes")).all()
    assert waiting
    assert {row.attempts for row in waiting} == {0}
    assert max(row.due_at for row in waiting) <= utcnow()
    assert len(waiting) + len(plant.entries(0)) == 300
    plant.start("send")
    deadline = time.monotonic() + PATIENCE
    while plant.count("pushes"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert plant.stop(signal.SIGTERM) == [0]
    told = Counter(entry["token"] for entry in plant.entries(0))
    assert told == {holder.token: 1 for holder in plant.holders}
