"""A disaster: phones hold balances that the restored database never knew. Each ends up right."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql
from sqlalchemy.engine import make_url
from sqlmodel import select
from werkzeug.serving import make_server

from tests.contracts.conftest import await_listening, free_ports, start_emulator
from tests.factories import TILL, make_member, make_signed_shop
from walletsvc.app import Installation, open_installation, run_publisher, run_sender
from walletsvc.app.web import create_app
from walletsvc.apple.authorities import INTERMEDIATE
from walletsvc.cli.main import walletsvc
from walletsvc.core.clock import utcnow
from walletsvc.emulators.phone import Conditional, Phone, Poller, Pushes, load_roots
from walletsvc.ledger.service import credit
from walletsvc.passes.models import PassType
from walletsvc.settings import Settings, load

SECRET = "test-secret-key-that-is-long-enough-0001"
PASS_TYPE = "pass.test.restored"
SECONDS = 60


@contextmanager
def at_work(settings: Settings) -> Iterator[Installation]:
    """An installation whose publisher and sender work."""
    stop = threading.Event()
    with open_installation(settings) as installation:
        threads = [
            threading.Thread(target=part, args=(installation, stop))
            for part in (run_publisher, run_sender)
        ]
        for thread in threads:
            thread.start()
        try:
            yield installation
        finally:
            stop.set()
            for thread in threads:
                thread.join()


@dataclass
class World:
    """What outlives the disaster: the address, Apple, the phones. Phones in `off` hear nothing."""

    url: str
    server: Any
    apple: Path
    port: int
    stack: ExitStack
    phones: list[Phone] = field(default_factory=list)
    pollers: list[Poller] = field(default_factory=list)
    off: set[int] = field(default_factory=set)

    def settings(self, folder: Path, **values: object) -> Settings:
        """The settings of an installation that answers at the address."""
        return load(
            data_dir=folder,
            public_url=self.url,
            sweep_seconds=0.1,
            apns_url=f"https://127.0.0.1:{self.port}",
            apns_ca_file=self.apple / "ca.pem",
            **values,
        )

    def command(self, folder: Path, where: dict[str, object], *words: str) -> None:
        """A command with the settings of that installation; it must succeed."""
        settings = {"data_dir": folder, "public_url": self.url, **where}
        env = {f"WALLETSVC_{name.upper()}": str(value) for name, value in settings.items()}
        result = CliRunner().invoke(walletsvc, words, env=env)
        assert result.exit_code == 0, result.output

    def serve(self, installation: Installation) -> None:
        """The address leads to this installation from now on."""
        self.server.app = create_app(installation)

    def open_apple(self, certificate: Path) -> Pushes:
        """Apple's push service, and the way its pushes reach phones."""
        trust = self.apple.with_suffix(".pem")
        shutil.copy(certificate, trust)
        emulator = start_emulator(self.apple, self.port, [trust])
        self.stack.callback(emulator.communicate, timeout=10)
        self.stack.callback(emulator.terminate)
        assert await_listening(emulator, self.port + 1)
        return self.stack.enter_context(Pushes(f"http://127.0.0.1:{self.port + 1}"))

    def buy_phones(self, links: list[str], certs: Path) -> None:
        """One phone per pass, and pollers of every kind for the last."""
        pushes = self.open_apple(certs / f"{INTERMEDIATE}.pem")
        trusted = load_roots(certs / "roots")
        for link in links:
            phone = self.stack.enter_context(Phone(pushes, roots=trusted))
            phone.add(link)
            self.phones.append(phone)
        for conditional in (*Conditional, Conditional.BOTH, Conditional.NOTHING):
            poller = self.stack.enter_context(Poller(conditional=conditional, roots=trusted))
            poller.add(links[-1])
            self.pollers.append(poller)

    def shown(self) -> list[int]:
        """What the phones say, each after what came in for it."""
        for number, phone in enumerate(self.phones):
            if number not in self.off:
                phone.handle_pushes()
        return [_points(installed) for phone in self.phones for installed in phone.passes.values()]

    def until_shown(self, expected: list[int]) -> None:
        """Wait until the phones say this; the pollers ask and must say the same."""
        deadline = time.monotonic() + SECONDS
        while (shown := self.shown()) != expected:
            assert time.monotonic() < deadline, f"phones show {shown} instead of {expected}"
            time.sleep(0.02)
        for poller in self.pollers:
            poller.poll()
        assert [_points(p.installed) for p in self.pollers] == [expected[-1]] * len(self.pollers)


def _points(installed: Any) -> int:
    return int(installed.package.document["storeCard"]["headerFields"][0]["value"])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The address, and phones; Apple opens once there is a certificate to know."""
    server = make_server("127.0.0.1", 0, lambda environ, start: [], threaded=True)
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    try:
        with ExitStack() as stack:
            url = f"http://127.0.0.1:{server.server_port}"
            yield World(url, server, tmp_path / "apns", free_ports(), stack)
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


@pytest.fixture
def second_home(tmp_path: Path, server_url: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Where to restore: an empty data directory, or an empty database beside it."""
    folder = tmp_path / "second" / "data"
    if request.param == "embedded":
        yield folder, {}
        return
    name = f"restored_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
        yield folder, {"database_url": url}
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def found_shop(installation: Installation, count: int) -> tuple[list[int], list[str]]:
    """A shop with members: their accounts, and where their passes are found."""
    with installation.database.write_tx() as session:
        shop = make_signed_shop(session, installation.settings, PASS_TYPE, utcnow())
        cards = [
            make_member(session, shop, utcnow(), phone=f"+7900000{number:04d}")[0]
            for number in range(count)
        ]
        base = installation.settings.base_url
        return (
            [card.account_id for card in cards],
            [f"{base}/p/{card.link_token}.pkpass" for card in cards],
        )


def change(installation: Installation, account_id: int, points: int) -> None:
    """Credit an account; publisher and sender do the rest."""
    with installation.database.write_tx() as session:
        credit(session, account_id, points, source="test", actor=TILL, reason="test", now=utcnow())


def last_tag(installation: Installation) -> int:
    """The newest tag that was given."""
    with installation.database.read_tx() as session:
        return session.exec(select(PassType.counter).where(PassType.identifier == PASS_TYPE)).one()


def live_until_the_disaster(world: World, first: Path, backup: Path) -> tuple[list[int], int]:
    """Cards, phones, a backup, and balances that it does not know; the accounts, the last tag."""
    with at_work(world.settings(first)) as installation:
        world.serve(installation)
        accounts, links = found_shop(installation, 4)
        world.buy_phones(links, installation.settings.certs_dir)
        for account in accounts:
            change(installation, account, 100)
        world.until_shown([100, 100, 100, 100])
        world.command(first, {}, "backup", str(backup))
        change(installation, accounts[2], 50)
        world.until_shown([100, 100, 150, 100])
        for number in (1, 2, 3):
            change(installation, accounts[number], 50)
        world.until_shown([100, 150, 200, 150])
        lost = last_tag(installation)
    shutil.rmtree(first)
    return accounts, lost


@pytest.mark.parametrize("second_home", ["embedded", "outside"], indirect=True)
def test_every_phone_is_right_after_a_restore(
    world: World, tmp_path: Path, second_home: tuple[Path, dict[str, object]]
) -> None:
    """Registered, backed up, changed, destroyed, restored elsewhere, changed again.

    The first phone loses nothing, the second and third lose changes; the fourth, and its
    pollers, lose a balance that comes again. The second is off until the restored service has
    given as many tags as were lost: only the epoch tells that its tag means nothing.
    """
    first, backup = tmp_path / "first", tmp_path / "cards.backup"
    first.mkdir()
    (first / "secret_key").write_text(SECRET)
    accounts, lost = live_until_the_disaster(world, first, backup)

    folder, where = second_home
    world.command(folder, where, "restore", str(backup))
    with at_work(world.settings(folder, **where)) as installation:
        world.serve(installation)
        world.off = {1}
        world.until_shown([100, 150, 100, 100])
        change(installation, accounts[3], 50)
        world.until_shown([100, 150, 100, 150])
        points = 100
        while last_tag(installation) <= lost:
            points += 1
            change(installation, accounts[0], 1)
            world.until_shown([points, 150, 100, 150])
        world.off = set()
        world.until_shown([points, 100, 100, 150])
        change(installation, accounts[2], 1)
        world.until_shown([points, 100, 101, 150])
        for phone in world.phones:
            # A phone that lost nothing is told to ask and finds the same: that is no mistake.
            assert [text for text in phone.complaints if "unchanged" not in text] == []
            assert phone.on_push(PASS_TYPE) == []
