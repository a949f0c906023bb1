"""Two of everything, as on two hosts: one database, and still one push per change."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text

from tests.contracts.conftest import free_ports
from tests.factories import TILL
from tests.journeys import processes
from tests.journeys.shop import PASS_TYPE, Journey, open_shop
from tests.journeys.test_stop import until
from walletsvc.app import CHANNELS, Installation, open_installation
from walletsvc.apple.identity import roots_dir
from walletsvc.emulators.phone import Fleet, Pushes, load_roots
from walletsvc.jobs.presence import present
from walletsvc.ledger.service import credit
from walletsvc.settings import load
from walletsvc.storage import columns

MEMBERS = 24
ROUNDS = 8
SECRET = "a secret that both hosts were given, 32 or more"


@pytest.fixture(autouse=True)
def _own_key_again() -> Iterator[None]:
    """The journey opens an installation with another secret key in this process."""
    before = columns._Unlocked.keyring
    yield
    columns._Unlocked.keyring = before


class Hosts:
    """Two hosts on one database, and the emulator of Apple's push service beside them."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.first, self.second = folder / "first", folder / "second"
        self.port, self.push_port = processes.free_port(), free_ports()
        self.settings: dict[str, Any] = {
            "database_url": database_url,
            "secret_key": SECRET,
            "port": self.port,
            "emulator_port": self.push_port,
            "apns_url": f"https://127.0.0.1:{self.push_port}",
            "apns_ca_file": folder / "ca.pem",
            "log_level": "warning",
        }
        self.running: dict[str, subprocess.Popen[str]] = {}

    @property
    def url(self) -> str:
        """The web server's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def control(self) -> str:
        """The push emulator's control interface."""
        return f"http://127.0.0.1:{self.push_port + 1}"

    def start(self, name: str, folder: Path, *words: str, **settings: object) -> None:
        """Start a command on a host."""
        env = processes.environment(folder, **self.settings, **settings)
        self.running[name] = processes.start(env, *words)

    def stop(self, *names: str) -> None:
        """SIGTERM to each, all at once; every one ends with 0."""
        for name in names:
            self.running[name].send_signal(signal.SIGTERM)
        for name in names:
            output, _ = self.running[name].communicate(timeout=60)
            assert self.running.pop(name).returncode == 0, f"{name}: {output}"

    def kill(self) -> None:
        """Leave nothing behind when a test failed."""
        for process in self.running.values():
            process.kill()
            process.communicate()


@contextmanager
def everything(hosts: Hosts, installation: Installation) -> Iterator[None]:
    """Emulator, a web server of two processes, and on each host a publisher and a sender."""
    hosts.start("emulators", hosts.first, "emulators")
    until(lambda: _answers(f"{hosts.control}/_/faults"))
    shutil.copy(hosts.first / "emulators" / "ca.pem", hosts.settings["apns_ca_file"])
    hosts.start("web", hosts.first, "web", web_processes=2)
    for folder in (hosts.first, hosts.second):
        for part in ("publish", "send"):
            hosts.start(f"{folder.name} {part}", folder, "worker", "--only", part)
    until(lambda: _answers(f"{hosts.url}/healthz"))
    until(lambda: _workers(installation) == {"publish": 2, "send": 2, "messages": 0, "jobs": 0})
    try:
        yield
    finally:
        hosts.kill()


def test_two_of_everything(tmp_path: Path, empty_database_url: str) -> None:
    """Every change is one push per phone, whoever published and sent it; each sender has one
    connection per certificate. A host that stops hands over without a push too many."""
    hosts = Hosts(tmp_path, empty_database_url)
    settings = load(data_dir=hosts.first, **hosts.settings)
    with ExitStack() as stack:
        installation = stack.enter_context(open_installation(settings))
        shop = open_shop(installation, MEMBERS)
        shutil.copytree(hosts.first / "certs", hosts.second / "certs")
        stack.enter_context(everything(hosts, installation))
        pushes = stack.enter_context(Pushes(hosts.control))
        roots = load_roots(roots_dir(settings))
        fleet = stack.enter_context(Fleet(pushes, MEMBERS, roots=roots))
        for phone, (card, _) in zip(fleet.phones, shop.members, strict=True):
            phone.add(f"{hosts.url}/p/{card.link_token}.pkpass")
        for done in range(1, ROUNDS + 1):
            for card, _ in shop.members:
                _credit(installation, card.account_id)
            fleet.wait(updates=done, timeout=60)
        _one_push_per_round(hosts, fleet)
        _one_connection_per_sender(hosts)
        assert [phone.complaints for phone in fleet.phones] == [[]] * MEMBERS
        _a_host_stops(hosts, installation, shop, fleet)
        hosts.stop("web", "second publish", "second send", "emulators")


def _one_push_per_round(hosts: Hosts, fleet: Fleet) -> None:
    counted = _pushes(hosts)
    assert set(counted.values()) == {ROUNDS}
    assert len(counted) == MEMBERS
    assert set(fleet.updates.values()) == {ROUNDS}


def _one_connection_per_sender(hosts: Hosts) -> None:
    """Of established connections to the push service, as the kernel lists them."""
    counts = [
        _connections(hosts.running[f"{host} send"].pid, hosts.push_port)
        for host in ("first", "second")
    ]
    assert max(counts) == 1, counts


def _a_host_stops(hosts: Hosts, installation: Installation, shop: Journey, fleet: Fleet) -> None:
    """The first host's workers are asked to end while tills go on; the second takes over."""
    ended = threading.Event()

    def tills() -> None:
        while not ended.is_set():
            for card, _ in shop.members:
                _credit(installation, card.account_id)

    busy = threading.Thread(target=tills)
    busy.start()
    try:
        before = _pushes(hosts).total()
        until(lambda: _pushes(hosts).total() > before + MEMBERS)
        hosts.stop("first publish", "first send")
        before = _pushes(hosts).total()
        until(lambda: _pushes(hosts).total() > before + MEMBERS)
    finally:
        ended.set()
        busy.join()
    until(lambda: _shown(fleet) == _owned(installation))
    until(lambda: _value(installation, "SELECT count(*) FROM pushes") == 0)
    published = _value(installation, "SELECT sum(revision - 1) FROM passes")
    # Publications that follow each other at once may share a push; none has two.
    assert _pushes(hosts).total() <= published
    # A phone that fetches a pass while it changes has the change before it is told of it.
    assert all("unchanged" in text for phone in fleet.phones for text in phone.complaints)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


def _workers(installation: Installation) -> dict[str, int]:
    with installation.database.read_tx() as session:
        return present(session, CHANNELS)


def _credit(installation: Installation, account_id: int) -> None:
    with installation.database.write_tx() as session:
        credit(
            session, account_id, 1, source="test", actor=TILL, reason="t", now=installation.clock()
        )


def _pushes(hosts: Hosts) -> Counter[str]:
    """Accepted pushes by device token."""
    entries = requests.get(f"{hosts.control}/_/log", timeout=10).json()
    assert all(entry["status"] == 200 for entry in entries)
    return Counter(entry["token"] for entry in entries)


def _connections(pid: int, port: int) -> int:
    sockets = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        target = str(entry.readlink())
        if target.startswith("socket:["):
            sockets.add(target[8:-1])
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    established = [fields for line in lines if (fields := line.split())[3] == "01"]
    return sum(f[2].endswith(f":{port:04X}") and f[9] in sockets for f in established)


def _shown(fleet: Fleet) -> dict[str, int]:
    """What each phone shows, by serial number."""
    return {
        serial: installed.package.values["points"]
        for phone in fleet.phones
        for (_, serial), installed in list(phone.passes.items())
    }


def _owned(installation: Installation) -> dict[str, int]:
    with installation.database.read_tx() as session:
        rows = session.execute(
            text(
                "SELECT p.serial, a.balance FROM passes p JOIN cards c ON c.id = p.card_id"
                " JOIN accounts a ON a.id = c.account_id JOIN pass_types t"
                " ON t.id = p.pass_type_id WHERE t.identifier = :name"
            ),
            {"name": PASS_TYPE},
        )
        return {row.serial: row.balance for row in rows}


def _value(installation: Installation, statement: str) -> int:
    with installation.database.read_tx() as session:
        return int(session.execute(text(statement)).scalar_one())
