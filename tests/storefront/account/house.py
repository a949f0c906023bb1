"""A shop with a partner, a holder with a past, and browsers that visit the card's page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlmodel import Session, col, func, select
from werkzeug.test import TestResponse

from tests.browser.shop import codes_sent
from tests.passes.shop import Shop, certificate, member
from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate
from walletsvc.core.actor import OPERATOR, Actor
from walletsvc.ledger import service as ledger
from walletsvc.merchants.acceptance import accept
from walletsvc.merchants.models import Branch
from walletsvc.merchants.service import create_branch, create_organisation
from walletsvc.messaging.models import Message
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.people.models import Person, PersonPhone
from walletsvc.people.sessions.models import CustomerSession
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.basket import Basket
from walletsvc.programmes.rulebook.refunds import Returned
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.sales import purchasing, refunding
from walletsvc.sales.models import Purchase
from walletsvc.sales.sale import Caller, Reference, Return, Sale
from walletsvc.storage.engine import Database

PHONE = "+79000001000"
OTHER_PHONE = "+79000002000"
TILL = Actor("api-key", "till")
BOOK = {
    "tiers": [
        {"code": "guest", "name": {"ru": "Гость", "en": "Guest"}, "threshold": 0},
        {"code": "friend", "name": {"ru": "Друг", "en": "Friend"}, "threshold": 500_000},
        {"code": "family", "name": {"ru": "Своя семья", "en": "Family"}, "threshold": 3_000_000},
    ],
    "earn": {"percent_by_tier": {"guest": "5", "friend": "7", "family": "10"}},
    "spend": {"max_share_percent": "50"},
    "lifetime": {"months": 12},
}


@dataclass
class Past:
    """What happened with a card: it bought here and at the partner's, and returned something."""

    card: Card
    branch: Branch
    purchases: list[Purchase]
    certificate: Certificate


def buy(
    session: Session,
    caller: Caller,
    card: Card,
    bill: int | Sequence[dict[str, Any]],
    name: str,
    now: datetime,
    **options: Any,
) -> Purchase:
    """Record a purchase as it happened."""
    basket = {"total": bill} if isinstance(bill, int) else {"lines": bill}
    sale = Sale(
        basket=Basket.model_validate(basket), currency="RUB", card=card.public_id, at=now, **options
    )
    return purchasing.purchase(session, caller, sale, Reference("pos", name), now).purchase


def live_in(
    session: Session, shop: Shop, now: datetime, *, first: str = "Анна", last: str = "Соколова",
    phone: str = PHONE, tag: str = "",
) -> Past:  # fmt: skip
    """A holder with a past of three months."""
    then = now - timedelta(days=90)
    card = member(session, shop, then, first=first, last=last, phone=phone)
    card.verified_at = card.verified_at or then
    branch = create_branch(
        session, organisation_id=shop.organisation.id, name=f"Невский, 28{tag}", now=then
    )
    partner = create_organisation(
        session, slug=f"partner{tag}", name=f"Книжный двор{tag}", now=then
    )
    accept(session, shop.organisation, partner, points=True, certificates=True, now=then)
    shore = create_branch(
        session, organisation_id=partner.id, name="Екатеринбург, Малышева", now=then,
        time_zone="Asia/Yekaterinburg",
    )  # fmt: skip
    here = Caller(shop.organisation.id, branch.id, TILL)
    there = Caller(partner.id, shore.id, TILL)
    lines = [
        {"item": "c1", "name": "Капучино 300 мл", "quantity": "2", "sum": 52_000},
        {"item": "c2", "name": "Чизкейк «Нью-Йорк» с малиновым соусом", "quantity": "1",
         "sum": 41_000},
        {"item": "c3", "name": "Зерно «Эфиопия», 1 кг", "quantity": "1", "sum": 245_000},
    ]  # fmt: skip
    bought = [
        buy(session, here, card, lines, f"1041{tag}", now - timedelta(days=62)),
        buy(session, there, card, 289_050, f"A-77{tag}", now - timedelta(days=30)),
        buy(session, here, card, 94_000, f"1297{tag}", now - timedelta(days=9), points=120),
        buy(session, here, card, lines[:1], f"1310{tag}", now - timedelta(days=2)),
    ]
    refunding.refund(
        session, here, bought[3].public_id, Reference("pos", f"B-1{tag}"),
        Return(Returned.model_validate({"sum": 26_000}), "test"), now - timedelta(days=1),
    )  # fmt: skip
    ledger.credit(
        session, card.account_id, 200, source="birthday", actor=OPERATOR, reason="secret words",
        now=now - timedelta(days=5), expires_at=now + timedelta(days=25, hours=11, minutes=30),
        promotional=True,
    )  # fmt: skip
    ledger.credit(
        session, card.account_id, 75, source="promotion", actor=OPERATOR, reason="secret words",
        now=now - timedelta(days=1), available_from=now + timedelta(days=6),
    )  # fmt: skip
    gift = certificate(session, shop, now - timedelta(days=3), face_value=300_000)
    return Past(card, branch, bought, gift)


def publish_rules(session: Session, shop: Shop, now: datetime) -> None:
    """Three tiers, points on everything."""
    versions.save_draft(session, shop.points, RuleBook.model_validate(BOOK), OPERATOR, "", now)
    versions.publish(session, shop.points, OPERATOR, now)


@dataclass
class Browser:
    """Somebody's browser: it keeps cookies, and sends back the token of the page it saw last."""

    client: FlaskClient
    database: Database
    page: str = ""
    address: str = ""

    def get(self, address: str, **options: Any) -> TestResponse:
        return self._seen(self.client.get(address, follow_redirects=True, **options))

    def post(self, address: str, **fields: Any) -> TestResponse:
        """Send a form, with the token of the page before unless told otherwise."""
        token = re.search(r'name="csrf_token" value="([^"]*)"', self.page)
        given = {"csrf_token": token[1] if token else ""} | fields
        return self._seen(self.client.post(address, data=given, follow_redirects=True))

    def ask(self, card: Card, phone: str = PHONE) -> TestResponse:
        """Type a phone at the card's log-in."""
        self.get(f"/c/{card.link_token}/login?lang=en")
        return self.post(f"/c/{card.link_token}/login", phone=phone)

    def type_code(self, card: Card, code: str | None = None) -> TestResponse:
        typed = self.codes()[-1] if code is None else code
        return self.post(f"/c/{card.link_token}/login/code", code=typed)

    def log_in(self, card: Card, phone: str = PHONE) -> TestResponse:
        """All of it."""
        self.ask(card, phone)
        return self.type_code(card)

    def open(self, card: Card, page: str = "") -> TestResponse:
        """A page of the card."""
        return self.get(f"/c/{card.link_token}{page}")

    def is_in(self, card: Card) -> bool:
        """Whether the browser sees what only the holder sees."""
        answer = self.client.get(f"/c/{card.link_token}/settings")
        assert answer.status_code in (200, 303)
        return answer.status_code == 200

    def codes(self) -> list[str]:
        return codes_sent(self.database)

    def cookie(self) -> str:
        found = self.client.get_cookie("account", path="/c")
        return found.value if found else ""

    @property
    def words(self) -> str:
        """The page without its markup."""
        plain = re.sub(r"<(script|style)[^>]*>.*?</\1>", " ", self.page, flags=re.DOTALL)
        return " ".join(re.sub(r"<[^>]+>", " ", plain).replace("\xa0", " ").split())

    def _seen(self, answer: TestResponse) -> TestResponse:
        self.page, self.address = answer.text, answer.request.path
        return answer


@dataclass
class House:
    """The shop and its clock."""

    app: Flask
    database: Database
    shop: Shop
    past: Past
    now: datetime

    def browser(self) -> Browser:
        return Browser(self.app.test_client(), self.database)

    def member(self, first: str, phone: str, last: str = "Волкова") -> Card:
        with self.database.write_tx() as session:
            return member(session, self.shop, self.now, first=first, last=last, phone=phone)

    def person(self) -> Person:
        with self.database.read_tx() as session:
            return session.get_one(Person, self.past.card.person_id)

    def count(self, table: type[Any]) -> int:
        with self.database.read_tx() as session:
            return int(session.exec(select(func.count()).select_from(table)).one())

    def logins(self) -> Sequence[CustomerSession]:
        with self.database.read_tx() as session:
            return session.exec(select(CustomerSession).order_by(col(CustomerSession.id))).all()


def everything(session: Session) -> list[str]:
    """What a form could have changed."""
    rows: list[str] = []
    for table in (Message, PhoneProof, CustomerSession, PersonPhone, Person):
        rows += sorted(str(row.model_dump()) for row in session.exec(select(table)))
    return rows
