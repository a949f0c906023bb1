"""A small installation with a web client: real database, real certificates, a fixed clock."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from tests.factories import TILL, Shop, make_member, make_signed_shop
from walletsvc.app import Installation, assemble
from walletsvc.app.web import create_app
from walletsvc.cards.models import Card
from walletsvc.jobs.drain import Drain
from walletsvc.ledger.service import credit, debit
from walletsvc.passes.models import Pass
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database

LIBRARY = "0123456789abcdef0123456789abcdef"
TOKEN = "ab" * 32


COUNTED = ("devices", "registrations", "pushes", "changes", "device_logs")


@dataclass
class Service:
    """The web service of a shop with two members, and hands to change their balances."""

    client: FlaskClient
    installation: Installation
    shop: Shop
    members: list[tuple[Card, Pass]]
    clock: Callable[[], datetime]
    ticks: list[timedelta] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return self.installation.database

    @property
    def pass_type(self) -> str:
        return self.shop.pass_type.identifier

    def pass_(self, index: int = 0) -> Pass:
        with self.database.read_tx() as session:
            return session.get_one(Pass, self.members[index][1].id)

    def auth(self, index: int = 0, scheme: str = "ApplePass") -> dict[str, str]:
        return {"Authorization": f"{scheme} {self.members[index][1].auth_token}"}

    def registration(self, index: int = 0, library: str = LIBRARY) -> str:
        serial = self.members[index][1].serial
        return f"/apple/v1/devices/{library}/registrations/{self.pass_type}/{serial}"

    def register(self, index: int = 0, library: str = LIBRARY, token: str = TOKEN) -> int:
        answer = self.client.post(
            self.registration(index, library), json={"pushToken": token}, headers=self.auth(index)
        )
        return answer.status_code

    def pass_url(self, index: int = 0) -> str:
        return f"/apple/v1/passes/{self.pass_type}/{self.members[index][1].serial}"

    def list_url(self, tag: str | None = None, library: str = LIBRARY) -> str:
        query = "" if tag is None else f"?passesUpdatedSince={tag}"
        return f"/apple/v1/devices/{library}/registrations/{self.pass_type}{query}"

    def change(self, points: int, index: int = 0) -> None:
        card = self.members[index][0]
        with self.database.write_tx() as session:
            if points > 0:
                credit(session, card.account_id, points, source="test", actor=TILL, reason="t",
                       now=self.clock())  # fmt: skip
            else:
                debit(session, card.account_id, -points, actor=TILL, reason="t", now=self.clock())

    def drain(self) -> None:
        drain = Drain(
            self.database,
            lambda session, batch: self.installation.publisher.handle(session, batch, self.clock()),
        )
        while drain.run_once():
            pass

    def count(self, table: str) -> int:
        with self.database.read_tx() as session:
            return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def counts(service: Service) -> dict[str, int]:
    return {table: service.count(table) for table in COUNTED}


def pass_json(body: bytes) -> dict[str, object]:
    with zipfile.ZipFile(BytesIO(body)) as package:
        loaded: dict[str, object] = json.loads(package.read("pass.json"))
    return loaded


@pytest.fixture
def service(
    database: Database, tmp_path: Path, signing_folder: Path, now: datetime
) -> Iterator[Service]:
    """Two members of one shop; nothing is registered or published yet."""
    (tmp_path / "certs").symlink_to(signing_folder)
    settings = Settings(data_dir=tmp_path, public_url="http://127.0.0.1:8000")
    ticks: list[timedelta] = []

    def clock() -> datetime:
        return now + sum(ticks, timedelta())

    installation = assemble(settings, database, clock)
    with database.write_tx() as session:
        shop = make_signed_shop(session, settings, "pass.test.signed", now)
        members = [
            make_member(session, shop, now, name=name, phone=phone)
            for name, phone in (("Анна", "+79000001000"), ("Emma", "+79000002000"))
        ]
    app = create_app(installation)
    app.testing = False
    yield Service(app.test_client(), installation, shop, members, clock, ticks)
    installation.events.close()
