"""The emulated phone, pollers and the trap suite against the real web service, over HTTP."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.serialization import pkcs7
from sqlalchemy import text
from sqlmodel import Session, col, select
from werkzeug.serving import make_server

from tests.emulators.phone.handmade import png
from tests.emulators.phone.pass_server import serve
from tests.factories import TILL, Shop, make_member, make_signed_shop
from walletsvc.app import Installation, assemble
from walletsvc.app.web import create_app
from walletsvc.apple import devcerts
from walletsvc.apple.identity import roots_dir
from walletsvc.apple.timeline.report import read
from walletsvc.cards.models import Card
from walletsvc.core.clock import utcnow
from walletsvc.emulators.phone import Conditional, Phone, Poller, Pushes, load_roots
from walletsvc.emulators.phone.traps import spring
from walletsvc.jobs.changes import Lane, touch
from walletsvc.jobs.drain import Drain
from walletsvc.ledger.service import credit
from walletsvc.passes.events import Event, record
from walletsvc.passes.models import EventKind, Pass, TemplateImage, TemplateVersion
from walletsvc.passes.timeline.findings import Code
from walletsvc.passes.timeline.subject import find
from walletsvc.settings import load
from walletsvc.storage.engine import Database

PASS_TYPE = "pass.test.signed"


@dataclass
class Live:
    """The service as it answers on loopback, with two cards."""

    installation: Installation
    cards: list[tuple[Card, Pass]]
    url: str

    @property
    def roots(self) -> Path:
        """The development roots."""
        return roots_dir(self.installation.settings)

    def link(self, index: int = 0) -> str:
        """Where a card's pass is found."""
        return f"{self.url}/p/{self.cards[index][0].link_token}.pkpass"

    def change(self, points: int, index: int = 0) -> None:
        """Credit a card and publish what changed."""
        database, now = self.installation.database, self.installation.clock
        with database.write_tx() as session:
            credit(
                session,
                self.cards[index][0].account_id,
                points,
                source="test",
                actor=TILL,
                reason="test",
                now=now(),
            )
        self.drain()

    def drain(self) -> None:
        """Publish what changed."""
        database, now = self.installation.database, self.installation.clock
        drain = Drain(
            database,
            lambda session, batch: self.installation.publisher.handle(session, batch, now()),
        )
        while drain.run_once():
            pass

    def renew(self) -> None:
        """Another certificate signs from now on: one for NFC, which the first is not."""
        with self.installation.database.write_tx() as session:
            devcerts.create(
                session,
                self.installation.settings,
                pass_type_identifiers=[PASS_TYPE],
                team_identifier="TEST000001",
                now=utcnow(),
                nfc=True,
            )

    def publish_all(self) -> None:
        """What the bulk job of a renewal does."""
        with self.installation.database.write_tx() as session:
            ids = session.exec(select(Pass.id).where(col(Pass.revision) > 0)).all()
            touch(session, "pass", ids, at=utcnow(), lane=Lane.BULK)
        self.drain()

    def signer(self, index: int) -> str:
        """The subject of the certificate that signs a card's pass now."""
        package = BytesIO(requests.get(self.link(index), timeout=10).content)
        signature = zipfile.ZipFile(package).read("signature")
        names = [c.subject.rfc4514_string() for c in pkcs7.load_der_pkcs7_certificates(signature)]
        (name,) = [name for name in names if "Pass Type ID" in name]
        return name


@pytest.fixture
def live(database: Database, tmp_path: Path, signing_folder: Path) -> Iterator[Live]:
    """The service, served by threads on a free port."""
    (tmp_path / "certs").symlink_to(signing_folder)
    server = make_server("127.0.0.1", 0, lambda environ, start: [], threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    settings = load(data_dir=tmp_path, public_url=url)
    installation = assemble(settings, database)
    cards = _two_cards(installation)
    server.app = create_app(installation)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Live(installation, cards, url)
    server.shutdown()
    thread.join()
    server.server_close()
    installation.events.close()


def _two_cards(installation: Installation) -> list[tuple[Card, Pass]]:
    with installation.database.write_tx() as session:
        shop = make_signed_shop(session, installation.settings, PASS_TYPE, utcnow())
        _add_icons(session, shop)
        return [
            make_member(session, shop, utcnow(), name=name, phone=phone)
            for name, phone in (("Анна", "+79000001000"), ("Emma", "+79000002000"))
        ]


def _add_icons(session: Session, shop: Shop) -> None:
    version = session.exec(
        select(TemplateVersion).where(TemplateVersion.template_id == shop.template.id)
    ).one()
    for density in (1, 2, 3):
        session.merge(
            TemplateImage(
                version_id=version.id, kind="icon", density=density, png=png(38 * density)
            )
        )


@pytest.fixture
def phone(live: Live) -> Iterator[Phone]:
    """A phone that trusts the development root."""
    with (
        serve() as control,
        Pushes(control.url) as pushes,
        Phone(pushes, roots=load_roots(live.roots)) as phone,
    ):
        control.other_topics.add(PASS_TYPE)
        yield phone


def test_the_service_springs_no_trap(live: Live) -> None:
    """Every known mistake of such services is tried; this one makes none of them."""
    assert [finding for finding in spring(live.link()) if finding.problem] == []


def test_a_phone_follows_its_balance(live: Live, phone: Phone) -> None:
    """Two passes in one phone: each push brings exactly the one that changed."""
    for index in (0, 1):
        phone.add(live.link(index))
    phone.on_push(PASS_TYPE)
    for points in (50, 7, 12):
        live.change(points)
        (first,) = phone.on_push(PASS_TYPE)
        assert first.after.serial == live.cards[0][1].serial
        assert first.messages
        assert phone.on_push(PASS_TYPE) == []
    live.change(9, 1)
    (second,) = phone.on_push(PASS_TYPE)
    assert second.after.serial == live.cards[1][1].serial
    assert phone.restore() == [200, 200]
    phone.remove_all()
    assert phone.complaints == []


def test_a_phone_gets_a_renewed_certificate_once(live: Live, phone: Phone) -> None:
    """The pass comes signed anew, without a message, and never again for the same renewal."""
    phone.add(live.link())
    phone.on_push(PASS_TYPE)
    live.renew()
    live.publish_all()
    (update,) = phone.on_push(PASS_TYPE)
    assert update.after.serial == live.cards[0][1].serial
    assert not update.messages
    assert "with NFC" in live.signer(0)
    live.publish_all()
    assert phone.on_push(PASS_TYPE) == []
    assert phone.complaints == []


def test_pollers_see_every_change_once(live: Live) -> None:
    """Apps that never register get the new pass by asking, with any validators or none."""
    kinds = [(Conditional.NOTHING, "AndroidPass")]
    kinds += [(c, "ApplePass") for c in (*Conditional, Conditional.BOTH, Conditional.NOTHING)]
    with ExitStack() as stack:
        pollers = [
            stack.enter_context(
                Poller(conditional=conditional, scheme=scheme, roots=load_roots(live.roots))
            )
            for conditional, scheme in kinds
        ]
        for poller in pollers:
            poller.add(live.link())
        for points in (5, 6):
            assert [poller.poll() for poller in pollers] == [None] * len(pollers)
            live.change(points)
            assert None not in [poller.poll() for poller in pollers]


def test_the_timeline_tells_what_the_phone_did(live: Live, phone: Phone) -> None:
    """From the change to the fetch, in order and without a word from the phone itself."""
    phone.add(live.link())
    phone.on_push(PASS_TYPE)
    live.change(50)
    installation = live.installation
    with installation.database.write_tx() as session:
        device, pass_type = session.execute(
            text("DELETE FROM pushes RETURNING device_id, pass_type_id")
        ).one()
        detail = {"apns_id": "x", "status": 200, "reason": "", "attempts": 1, "action": "done"}
        pushed = Event(
            installation.clock(), EventKind.PUSHED, pass_type, device_id=device, detail=detail
        )
        record(session, [pushed])
    phone.on_push(PASS_TYPE)
    installation.events.flush()
    now = installation.clock()
    with installation.database.read_tx() as session:
        (subject,) = find(session, live.cards[0][0].number)
        told = read(
            session, subject, now=now, keep=timedelta(days=1), since=now - timedelta(days=1),
            limit=5,
        )  # fmt: skip
    assert [entry.kind.value for entry in told.entries] == [
        "changed", "published", "pushed", "asked", "fetched",
    ]  # fmt: skip
    assert all(entry.seconds is not None for entry in told.entries[1:])
    assert told.entries[1].detail["differs"] == {"points": [0, 50]}
    assert told.verdict.code is Code.UP_TO_DATE
    assert told.verdict.values["at"] == told.entries[-1].at
