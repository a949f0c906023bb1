"""A shop that can send SMS, and somebody who reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, func, select

from tests.factories import Shop, make_shop
from tests.messaging.making import add_gateway
from walletsvc.app import event_handlers
from walletsvc.jobs import events
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.models import Message
from walletsvc.messaging.proving import service
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose
from walletsvc.messaging.proving.rules import Sending, carried
from walletsvc.messaging.proving.service import Checked, Started
from walletsvc.storage.engine import Database

PHONE = "+79000001234"
SENDING = Sending(host="cards.example.test", per_hour=70, abroad_per_hour=3)


@dataclass
class Desk:
    """Proofs of one shop, each verb in a transaction of its own."""

    database: Database
    shop: Shop
    now: datetime

    def later(self, **duration: float) -> datetime:
        return self.now + timedelta(**duration)

    def start(self, phone: str = PHONE, subject: str = "form:1", **changes: Any) -> Started:
        given: dict[str, Any] = {
            "organisation_id": self.shop.organisation.id,
            "programme_id": self.shop.programme.id,
            "purpose": ProofPurpose.JOIN,
            "language": "ru",
            "address": "192.0.2.1",
            "now": self.now,
        }
        return service.start(self.database, phone=phone, subject=subject, **given | changes)

    def check(self, proof: str, code: str, subject: str = "form:1", **changes: Any) -> Checked:
        given: dict[str, Any] = {"now": self.now}
        return service.check(self.database, proof, subject=subject, code=code, **given | changes)

    def status(self, proof: str, subject: str = "form:1", **changes: Any) -> Checked:
        given: dict[str, Any] = {"now": self.now}
        with self.database.read_tx() as session:
            return service.status(session, proof, subject=subject, **given | changes)

    def use(self, proof: str, subject: str = "form:1", **changes: Any) -> PhoneProof:
        given: dict[str, Any] = {"now": self.now, "purpose": ProofPurpose.JOIN}
        with self.database.write_tx() as session:
            return service.use(session, proof, subject=subject, **given | changes)

    def sms(self) -> list[str]:
        """The words of what was written to phones, oldest first."""
        with self.database.read_tx() as session:
            found = session.exec(select(Message).order_by(col(Message.id)))
            return [json.loads(each.body or "{}")["sms"]["text"] for each in found]

    def codes(self) -> list[str]:
        return [str(re.findall(r"\b\d{6}\b", text)[0]) for text in self.sms()]

    def count(self, table: type[Message | PhoneProof]) -> int:
        with self.database.read_tx() as session:
            return session.exec(select(func.count()).select_from(table)).one()

    def proven(self, phone: str = PHONE, subject: str = "form:1", **changes: Any) -> str:
        """A proof whose code was told."""
        proof = self.start(phone, subject, **changes).proof
        assert self.check(proof, self.codes()[-1], subject, **changes).outcome == "proven"
        return proof


@pytest.fixture
def desk(database_url: str, now: datetime) -> Iterator[Desk]:
    """A shop with gateways for everything."""
    database = Database(
        database_url,
        pool_size=24,
        carried={**events.carried(event_handlers()), **carried(SENDING)},
    )
    with database.write_tx() as session:
        shop = make_shop(session, now)
        for channel in (Channel.SMS, Channel.CALL, Channel.MESSENGER):
            add_gateway(session, now, channel)
    yield Desk(database, shop, now)
    database.close()
