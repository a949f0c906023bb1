"""A shop whose messages go to the emulators, and a clock that tests move."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from tests.factories import Shop, make_shop
from walletsvc.emulators.mail import ACCOUNT, MailEmulator
from walletsvc.emulators.sms import ACCOUNTS, SmsEmulator
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import Gateway, Message
from walletsvc.messaging.outbox import Recipient, enqueue
from walletsvc.messaging.sending.sender import MessageSender
from walletsvc.messaging.service import add_gateway
from walletsvc.storage.engine import Database

PHONE = "+79000001234"
EMAIL = "anna@example.org"


@dataclass
class Post:
    """Everything between a message that is wanted and the phone that gets it."""

    database: Database
    shop: Shop
    now: datetime
    sms: SmsEmulator
    mail_port: int
    sender: MessageSender = field(init=False)

    def __post_init__(self) -> None:
        self.sender = MessageSender(self.database, lambda: self.now, "", rng=random.Random(1))

    def gateway(self, kind: str = "smsc", **more: Any) -> int:
        """A gateway at the emulator; its internal id."""
        if kind == "smtp":
            values = {
                "host": "127.0.0.1",
                "port": self.mail_port,
                "security": "none",
                "sender": "cards@example.com",
                **ACCOUNT,
            }
        else:
            own = ACCOUNTS[kind.removesuffix("-call")]
            values = {**own, "url": self.sms.base_url, "price_per_segment": 300}
        values |= more.pop("values", {})
        with self.database.write_tx() as session:
            return add_gateway(session, kind=kind, values=values, now=self.now, **more).id

    def write(
        self,
        kind: MessageKind = MessageKind.CODE,
        *,
        expires_in: timedelta | None = None,
        to: Recipient | None = None,
        person_id: int | None = None,
        **values: str,
    ) -> int:
        """A message that is wanted; its internal id."""
        with self.database.write_tx() as session:
            message = enqueue(
                session,
                organisation_id=self.shop.organisation.id,
                kind=kind,
                to=to or Recipient(PHONE, EMAIL),
                values={"code": "123456", "link": "https://x/c/1", "text": "News", **values},
                language="ru",
                now=self.now,
                person_id=person_id,
                expires_at=self.now + expires_in if expires_in else None,
            )
            assert message is not None
            return message.id

    def later(self, **time: float) -> None:
        """Time goes by."""
        self.now += timedelta(**time)

    def message(self, id_: int) -> Message:
        """A message as it stands."""
        with self.database.read_tx() as session:
            return session.exec(select(Message).where(Message.id == id_)).one()

    def stands(self, id_: int) -> Gateway:
        """A gateway as it stands."""
        with self.database.read_tx() as session:
            return session.exec(select(Gateway).where(Gateway.id == id_)).one()

    def texts(self, channel: str = "sms") -> list[str]:
        """What arrived."""
        return [entry["text"] for entry in self.sms.log() if entry["channel"] == channel]


@pytest.fixture
def post(database: Database, now: datetime) -> Iterator[Post]:
    """A shop and the emulators; without any gateway yet."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
    with SmsEmulator() as sms, MailEmulator(sms.desk.note) as mail:
        yield Post(database, shop, now, sms, mail.port)
