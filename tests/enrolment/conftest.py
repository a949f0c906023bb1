"""A shop that anybody can join, and somebody who fills in its form and reads the messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, func, select

from tests.factories import TILL, Shop, make_shop
from tests.messaging.making import add_gateway
from walletsvc.app import event_handlers
from walletsvc.enrolment import applying, settings
from walletsvc.enrolment.applying import ApplicationForm, Applied, Confirmed
from walletsvc.enrolment.settings import Rules
from walletsvc.jobs import events
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.models import Message
from walletsvc.messaging.proving.rules import Sending, carried
from walletsvc.people.consents import service as consents
from walletsvc.people.consents.models import ConsentChannel, Purpose
from walletsvc.programmes.models import Programme
from walletsvc.storage.engine import Database

PHONE = "+79000001234"
NONCE = "nonce-of-a-page-1"
BASE = "https://cards.example.test"


@dataclass
class Counter:
    """The form of one shop, each verb a request of its own."""

    database: Database
    shop: Shop
    now: datetime
    texts: dict[Purpose, str] = field(default_factory=dict)

    def later(self, **duration: float) -> datetime:
        return self.now + timedelta(**duration)

    def form(self, **changes: Any) -> ApplicationForm:
        form = ApplicationForm(
            phone="8 (900) 000-12-34",
            first_name="Анна",
            last_name="Кузнецова",
            data_text=self.texts[Purpose.DATA],
            advertising_text=self.texts[Purpose.ADVERTISING],
            channels=(ConsentChannel.SMS,),
        )
        return replace(form, **changes)

    def apply(self, nonce: str = NONCE, /, **changes: Any) -> Applied:
        given: dict[str, Any] = {
            "programme_slug": self.shop.programme.slug,
            "source": None,
            "address": "192.0.2.1",
            "language": "ru",
            "now": self.now,
        }
        own = {name: changes.pop(name) for name in list(changes) if name in (*given, "route")}
        return applying.apply(self.database, form=self.form(**changes), nonce=nonce, **given | own)

    def confirm(self, application: str, code: str, **changes: Any) -> Confirmed:
        given: dict[str, Any] = {"now": self.now, "base_url": BASE}
        return applying.confirm(self.database, application, code=code, **given | changes)

    def choose(self, application: str, person: str | None, **changes: Any) -> Confirmed:
        given: dict[str, Any] = {"now": self.now, "base_url": BASE}
        return applying.choose(self.database, application, person=person, **given | changes)

    def join(self, nonce: str = NONCE, /, **changes: Any) -> Confirmed:
        """The form and its code, in one breath."""
        applied = self.apply(nonce, **changes)
        return self.confirm(applied.application, self.codes()[-1])

    def rules(self, **changes: Any) -> Rules:
        with self.database.write_tx() as session:
            programme = session.get_one(Programme, self.shop.programme.id)
            rules = replace(settings.of(session, programme), **changes)
            return settings.change(session, programme, rules, actor=TILL, now=self.now)

    def messages(self) -> list[tuple[str, str]]:
        """Kind and words of everything that was written to somebody and is not erased, oldest
        first."""
        with self.database.read_tx() as session:
            found = session.exec(select(Message).order_by(col(Message.id)))
            return [
                (each.kind.value, next(iter(json.loads(each.body).values()))["text"])
                for each in found
                if each.body
            ]

    def codes(self) -> list[str]:
        return [
            str(re.findall(r"\b\d{6}\b", words)[0])
            for kind, words in self.messages()
            if kind.endswith("code")
        ]

    def count(self, table: type[Any]) -> int:
        with self.database.read_tx() as session:
            return int(session.exec(select(func.count()).select_from(table)).one())


def open_counter(session: Session, now: datetime) -> tuple[Shop, dict[Purpose, str]]:
    """A shop that takes everybody in and can send SMS."""
    shop = make_shop(session, now)
    for channel in (Channel.SMS, Channel.EMAIL, Channel.CALL):
        add_gateway(session, now, channel)
    settings.change(session, shop.programme, Rules(open=True), actor=TILL, now=now)
    texts = consents.current_texts(session, shop.organisation.id, now)
    return shop, {purpose: text.public_id for purpose, text in texts.items()}


@pytest.fixture
def counter(database_url: str, now: datetime) -> Iterator[Counter]:
    """The form of a shop, open to everybody."""
    sending = Sending(host="cards.example.test", per_hour=500, abroad_per_hour=3)
    database = Database(
        database_url,
        pool_size=24,
        carried={**events.carried(event_handlers()), **carried(sending)},
    )
    with database.write_tx() as session:
        shop, texts = open_counter(session, now)
    yield Counter(database, shop, now, texts)
    database.close()
