"""Parts that die come back; a stop finishes what is under way, and nothing cuts that short."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import text

from tests.journeys import processes
from tests.journeys.shop import Journey, open_shop
from walletsvc.app import CHANNELS, Installation, open_installation
from walletsvc.jobs.changes import touch
from walletsvc.jobs.presence import present
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database

# Somebody holds the pass, so that a change of it is published.
_REGISTER = """
INSERT INTO devices (library_identifier, push_token, registered_at, created_at)
VALUES ('library', 'token', now(), now());

INSERT INTO registrations (device_id, pass_id, pass_type_id, tag, created_at)
SELECT d.id, p.id, p.pass_type_id, 0, now() FROM devices d, passes p
"""
# One row for the till, one for the publisher, one table for the job.
_BLOCK = """
SELECT 1 FROM accounts WHERE kind = 'customer' FOR UPDATE;
SELECT 1 FROM passes FOR UPDATE;
LOCK TABLE device_logs
"""
_BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)
# A new minute brings jobs of its own, and nobody takes them any more.
_UNFINISHED = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'apple:forget_timeline'"


def test_what_is_under_way_is_finished(tmp_path: Path) -> None:
    """Killed parts are back by themselves. Then a request, a batch of changes and a job are
    under way when SIGTERM comes, and comes again: all are finished, and the exit code is 0."""
    port = processes.free_port()
    env = processes.environment(tmp_path, port=port, web_processes=2)
    running = processes.start(env, "up")
    try:
        processes.wait_until_up(running)
        with open_installation(Settings(data_dir=tmp_path, port=port)) as installation:
            shop = open_shop(installation, 1)
            for part in ("publish", "send", "messages", "jobs"):
                _kill_and_see_it_back(tmp_path, f"worker\0--only\0{part}")
            _kill_and_see_it_back(tmp_path, "web")
            until(lambda: all(_present(installation).values()))
            # Of two web processes that just start, the one that was there may have been killed.
            processes.wait_until_ready(f"http://127.0.0.1:{port}")
            till = _Till(shop, f"http://127.0.0.1:{port}")
            _stop_in_the_middle(installation, shop, till, running)
            assert till.answers == [200]
            database = installation.database
            assert _value(database, "SELECT balance FROM accounts WHERE kind = 'customer'") == 50
            assert _value(database, "SELECT revision FROM passes") >= 1
            assert _value(database, "SELECT count(*) FROM procrastinate_jobs") == 0
            counted = "SELECT sum(value) FROM counters WHERE name = 'http_requests'"
            assert _value(database, counted) == 1  # kept in memory, written at the end
    finally:
        running.kill()
    processes.wait_until_gone(tmp_path)


class _Till:
    """Credits the card in a thread, as soon as it is started."""

    def __init__(self, shop: Journey, url: str) -> None:
        self.answers: list[int] = []
        self._address = f"{url}/api/v1/cards/{shop.members[0][0].public_id}/adjustments"
        self._headers = {"Authorization": f"Bearer {shop.key}", "Idempotency-Key": "journey-1"}
        self.thread = threading.Thread(target=self._credit)

    def _credit(self) -> None:
        answer = requests.post(
            self._address,
            json={"amount": 50, "reason": "test"},
            headers=self._headers,
            timeout=60,
        )
        self.answers.append(answer.status_code)


def _stop_in_the_middle(
    installation: Installation, shop: Journey, till: _Till, running: subprocess.Popen[str]
) -> None:
    database = installation.database
    with database.write_tx() as session:
        for statement in _REGISTER.split(";"):
            session.execute(text(statement))
    with database.write_tx() as blocker:
        for statement in _BLOCK.split(";"):
            blocker.execute(text(statement))
        till.thread.start()
        with database.write_tx() as session:
            touch(session, "pass", [shop.members[0][1].id], at=installation.clock())
            session.execute(
                text(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES"
                    " ('default', 'apple:forget_timeline', '{\"timestamp\": 0}')"
                )
            )
        until(lambda: _value(database, _BLOCKED) == 3)
        everyone = processes.members_of(installation.settings.data_dir)
        ours = [pid for pid in everyone if "\0walletsvc\0" in _words(pid)]
        # First as Ctrl-C or a container does it, then as systemd does, to every process.
        for asked in ([running.pid], ours):
            for pid in asked:
                with suppress(ProcessLookupError):  # a web process without a request is gone
                    os.kill(pid, signal.SIGTERM)
            # Long enough for anything that would end at once to be gone.
            time.sleep(0.7)
            assert _value(database, _BLOCKED) == 3
            assert running.poll() is None
    till.thread.join(30)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 0, output
    assert "is killed" not in output


def _kill_and_see_it_back(folder: Path, words: str) -> None:
    """A process of this command; of the web server's one of those that serve."""
    before = _pids(folder, words)
    victim = next((pid for pid in before if _parent(pid) in before), before[0])
    os.kill(victim, signal.SIGKILL)

    def replaced() -> bool:
        now = set(_pids(folder, words))
        return len(now) == len(before) and now - set(before) != set() and victim not in now

    until(replaced)


def _pids(folder: Path, words: str) -> list[int]:
    ending = f"\0walletsvc\0{words}\0"
    return [pid for pid in processes.members_of(folder) if _words(pid).endswith(ending)]


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _present(installation: Installation) -> dict[str, int]:
    with installation.database.read_tx() as session:
        return present(session, CHANNELS)


def _value(database: Database, statement: str) -> Any:
    with database.read_tx() as session:
        return session.execute(text(statement)).scalar_one()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that happens by itself."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
