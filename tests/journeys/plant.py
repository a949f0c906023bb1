"""An installation whose parts are real processes, with a shop, an emulator and light phones."""

from __future__ import annotations

import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import text
from werkzeug.serving import make_server

from tests.factories import TILL, Shop, make_member, make_signed_shop
from tests.journeys import processes
from walletsvc.app import Installation, absent_workers, assemble
from walletsvc.app.web import create_app
from walletsvc.apple import registrations
from walletsvc.apple.sending.sender import LEASE
from walletsvc.cards.models import Card
from walletsvc.cli.emulate import GOOGLE_FOLDER, google_url
from walletsvc.core.clock import utcnow
from walletsvc.emulators.google import DEFAULT_ISSUER, write_key
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.drain import Drain
from walletsvc.ledger.service import credit
from walletsvc.settings import load
from walletsvc.storage.engine import Database

PASS_TYPE = "pass.test.signed"
SECRET = "test-secret-key-that-is-long-enough-0001"


@dataclass
class Holder:
    """A member whose pass lies in one phone that does little more than follow pushes."""

    card: Card
    serial: str
    library: str
    token: str
    tag: str | None = None
    shown: dict[str, Any] | None = None
    pushes: int = 0


@dataclass
class Plant:
    """The installation, its emulator, and the worker processes that run at the moment."""

    installation: Installation
    shop: Shop
    control: str
    environment: dict[str, str]
    log: Path
    holders: list[Holder] = field(default_factory=list)
    workers: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)

    @property
    def database(self) -> Database:
        """Where it keeps everything."""
        return self.installation.database

    def start(self, part: str) -> None:
        """Start one part of the worker as a process."""
        with self.log.open("ab") as log:
            self.workers.append(
                (
                    part,
                    subprocess.Popen(
                        processes.command("worker", "--only", part),
                        env=self.environment,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    ),
                )
            )

    def await_workers(self) -> None:
        """Wait until somebody publishes and somebody sends; no message leaves a plant."""
        _await(lambda: all("messages" in each for each in absent_workers(self.installation)))

    def kill(self, index: int) -> str:
        """SIGKILL one of the processes; which part it was."""
        part, process = self.workers.pop(index)
        process.kill()
        process.wait()
        return part

    def stop(self, number: signal.Signals = signal.SIGTERM) -> list[int]:
        """End all worker processes; their exit codes."""
        for _, process in self.workers:
            process.send_signal(number)
        codes = [process.wait(timeout=60) for _, process in self.workers]
        self.workers.clear()
        return codes

    def fault(self, name: str, count: int = 1, **details: Any) -> None:
        """Have the next pushes fail in a named way."""
        self._post("faults", {"fault": name, "count": count, **details})

    def calm(self) -> None:
        """No more faults."""
        requests.delete(f"{self.control}/_/faults", timeout=10).raise_for_status()
        self.limit(100)

    def limit(self, streams: int) -> None:
        """Allow so many streams."""
        self._post("settings", {"max_concurrent_streams": streams})

    def entries(self, after: int, wait: float = 0) -> list[dict[str, Any]]:
        """What the push service received after this entry."""
        query = {"after": after, "wait": wait, "limit": 5000}
        answer = requests.get(f"{self.control}/_/log", params=query, timeout=60)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with self.database.read_tx() as session:
            return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    def enrol(self, count: int) -> None:
        """More members, each with the pass in a phone, all published and nothing to be told."""
        now = utcnow()
        for start in range(0, count, 500):
            with self.database.write_tx() as session:
                for number in range(start, min(start + 500, count)):
                    card, pass_ = make_member(
                        session, self.shop, now, name="Анна", phone=f"+7900{number:07d}"
                    )
                    holder = Holder(
                        card, pass_.serial, secrets.token_hex(16), secrets.token_hex(32)
                    )
                    registrations.register(
                        session,
                        library=holder.library,
                        push_token=holder.token,
                        pass_=pass_,
                        now=now,
                    )
                    self.holders.append(holder)
        self.publish()
        with self.database.write_tx() as session:
            session.execute(text("DELETE FROM pushes"))
        for holder in self.holders:
            self.follow(holder)

    def link(self, holder: Holder) -> str:
        """Where a phone downloads the pass."""
        return f"{self.installation.settings.base_url}/p/{holder.card.link_token}.pkpass"

    def publish(self) -> None:
        """Publish what changed, here and now."""
        drain = Drain(
            self.database,
            lambda session, batch: self.installation.publisher.handle(session, batch, utcnow()),
        )
        while drain.run_once():
            pass

    def follow(self, holder: Holder) -> None:
        """What a phone does when it was pushed: list what changed, take it, keep the tag."""
        with self.database.read_tx() as session:
            changed = registrations.changed_since(
                session, library=holder.library, pass_type=PASS_TYPE, tag=holder.tag
            )
            if changed is None or not changed.serials:
                return
            assert changed.serials == [holder.serial]
            holder.shown = session.execute(
                text("SELECT content FROM passes WHERE serial = :serial"), {"serial": holder.serial}
            ).scalar_one()
            holder.tag = changed.tag

    def change(self, holders: list[Holder], points: int, lane: Lane) -> None:
        """Credit some cards, in one transaction."""
        with self.database.write_tx() as session:
            for holder in sorted(holders, key=lambda holder: holder.card.account_id):
                credit(session, holder.card.account_id, points, source="test", actor=TILL,
                       reason="test", now=utcnow(), lane=lane)  # fmt: skip

    def make_due(self) -> None:
        """As if the long waits were over: retries and quiet devices. What ends within a lease's
        time, leases and stopped channels end by themselves."""
        with self.database.write_tx() as session:
            values = {"long": LEASE}
            session.execute(
                text("UPDATE devices SET quiet_until = NULL WHERE quiet_until > now() + :long"),
                values,
            )
            session.execute(
                text(
                    "UPDATE pushes SET due_at = now() WHERE id = ANY(ARRAY("
                    "SELECT id FROM pushes WHERE due_at > now() + :long"
                    " FOR UPDATE SKIP LOCKED))"
                ),
                values,
            )

    def _post(self, path: str, body: dict[str, Any]) -> None:
        requests.post(f"{self.control}/_/{path}", json=body, timeout=10).raise_for_status()


@contextmanager
def running(database: Database, folder: Path, *, google: bool = False) -> Iterator[Plant]:
    """A shop without members, its web service and the emulators; with `google` it issues for
    Google Wallet too."""
    with ExitStack() as stack:
        server = make_server("127.0.0.1", 0, lambda environ, start: [], threaded=True)
        stack.callback(server.server_close)
        url = f"http://127.0.0.1:{server.server_port}"
        port = processes.free_port()
        values = {
            "data_dir": folder,
            "public_url": url,
            "database_url": database.conninfo,
            "secret_key": SECRET,
            "emulator_port": port,
            "apns_url": f"https://127.0.0.1:{port}",
            "apns_ca_file": folder / "emulators" / "ca.pem",
            "sweep_seconds": 0.5,
            "log_level": "warning",
            **(_google(folder, port) if google else {}),
        }
        environment = processes.environment(folder, **values)
        installation = assemble(load(**values), database)
        server.app = create_app(installation)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        stack.callback(server.shutdown)
        plant = Plant(
            installation,
            _shop(installation),
            f"http://127.0.0.1:{port + 1}",
            environment,
            folder / "workers.log",
        )
        emulator = subprocess.Popen(processes.command("emulators"), env=environment)
        stack.callback(emulator.wait)
        stack.callback(emulator.terminate)
        _await(lambda: requests.get(plant.control, timeout=5).ok)
        try:
            yield plant
        finally:
            plant.stop(signal.SIGKILL)


def _google(folder: Path, port: int) -> dict[str, object]:
    """The settings for the emulator of Google Wallet, with a new account's key."""
    url = google_url(port)
    key = folder / "emulators" / "key.json"
    write_key(folder / "emulators" / GOOGLE_FOLDER, url, key)
    return {
        "google_issuer_id": DEFAULT_ISSUER,
        "google_key": key.read_text(),
        "google_url": url,
        "google_pay_url": url,
    }


def _shop(installation: Installation) -> Shop:
    with installation.database.write_tx() as session:
        return make_signed_shop(session, installation.settings, PASS_TYPE, utcnow())


def _await(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + processes.START_SECONDS
    while time.monotonic() < deadline:
        try:
            if there():
                return
        except requests.RequestException:
            pass  # not yet
        time.sleep(0.05)
    raise AssertionError("it did not start")
