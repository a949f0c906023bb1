"""The pages of joining, as a browser without JavaScript sends them."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlmodel import Session, func, select
from werkzeug.test import TestResponse

from tests.browser.shop import codes_sent, open_to_all
from tests.messaging.test_outbox import add_gateway
from tests.passes.shop import Shop, member
from walletsvc.app.installation import assemble
from walletsvc.app.web import create_app
from walletsvc.cards.models import Card
from walletsvc.cards.plastic.service import add as add_number
from walletsvc.core.actor import OPERATOR
from walletsvc.enrolment import settings as enrolment
from walletsvc.enrolment import sources
from walletsvc.enrolment.models import JoinSource, Registration
from walletsvc.enrolment.service import enrol
from walletsvc.enrolment.settings import Presence
from walletsvc.jobs.events import CallReceived
from walletsvc.ledger import service as ledger
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.models import Gateway, Message
from walletsvc.messaging.proving.models import PhoneProof, Route
from walletsvc.messaging.proving.ways import call_received
from walletsvc.people.consents.models import Consent
from walletsvc.people.models import Person, PersonPhone
from walletsvc.settings import load
from walletsvc.storage.engine import Database
from walletsvc.storefront import blueprint
from walletsvc.web import i18n, problems
from walletsvc.web.context import Deps

PHONE = "8 (900) 123-45-67"


@dataclass
class Visitor:
    """Somebody with a browser, who looks at one page after another."""

    client: FlaskClient
    database: Database
    page: str = ""
    address: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    def get(self, address: str) -> TestResponse:
        return self._seen(self.client.get(address, follow_redirects=True))

    def open(self, address: str = "/join/guest?lang=en") -> None:
        """Open the form and take its hidden fields and texts along."""
        assert self.get(address).status_code == 200
        self.fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', self.page))
        agree = re.search(r'name="data_text" value="(\w+)"', self.page)
        assert agree is not None
        self.fields |= {"phone": PHONE, "first_name": "Анна", "data_text": agree[1]}

    def send(self, **changes: Any) -> TestResponse:
        """Send the form; where it leads is the next page."""
        wanted = {name: value for name, value in (self.fields | changes).items()
                  if value is not None}  # fmt: skip
        return self.post("/join/guest", **wanted)

    def post(self, address: str, **fields: Any) -> TestResponse:
        """Send any form, with the token of the page before unless told otherwise."""
        token = re.search(r'name="csrf_token" value="([^"]*)"', self.page)
        given = {"csrf_token": token[1] if token else ""} | fields
        return self._seen(self.client.post(address, data=given, follow_redirects=True))

    def type_code(self, code: str | None = None) -> TestResponse:
        return self.post("/join/guest/code", code=self.codes()[-1] if code is None else code)

    def codes(self) -> list[str]:
        return codes_sent(self.database)

    def count(self, table: type[Any]) -> int:
        with self.database.read_tx() as session:
            return int(session.exec(select(func.count()).select_from(table)).one())

    def _seen(self, answer: TestResponse) -> TestResponse:
        self.page, self.address = answer.text, answer.request.path
        return answer


@dataclass
class Desk:
    """A shop that takes people in, and its clock."""

    app: Flask
    database: Database
    shop: Shop
    source: JoinSource
    now: datetime

    def visitor(self) -> Visitor:
        return Visitor(self.app.test_client(), self.database)

    def rules(self, **changes: Any) -> None:
        with self.database.write_tx() as session:
            rules = enrolment.Rules(**{"open": True, **changes})
            enrolment.change(session, self.shop.points, rules, actor=OPERATOR, now=self.now)


@pytest.fixture
def desk(database: Database, now: datetime) -> Desk:
    shop, source = open_to_all(database, now, pictures=False)
    settings = load(public_url="https://cards.example")
    app = Flask("walletsvc")
    app.secret_key = "a secret of these tests"
    i18n.install(app, settings)
    problems.install(app)
    found = Desk(app, database, shop, source, now)
    app.register_blueprint(blueprint.create(Deps(settings, database, lambda: found.now)))
    # The test client speaks http; browsers would not send the cookie there.
    app.config["SESSION_COOKIE_SECURE"] = False
    return found


@pytest.fixture
def visitor(desk: Desk) -> Visitor:
    return desk.visitor()


def test_from_the_poster_to_the_card(desk: Desk, visitor: Visitor) -> None:
    """The short link, the form, the code, the card's page; and it is known where it began."""
    visitor.open(f"/j/{desk.source.code.lower()}")
    assert visitor.fields["source"] == desk.source.code
    visitor.send(channels="sms", email="anna@example.com", birthday_day="7", birthday_month="5",
                 birthday_year="1990")  # fmt: skip
    assert visitor.address == "/join/guest/code"
    assert 'autocomplete="one-time-code"' in visitor.page
    code = visitor.codes()[-1]
    answer = visitor.type_code(f" {code[:3]}-{code[3:]} ")
    assert answer.status_code == 200
    assert visitor.address.startswith("/c/")
    assert "Your card is ready" in visitor.page or "Ваша карта готова" in visitor.page
    with desk.database.read_tx() as session:
        card = session.exec(select(Card)).one()
        person = session.get_one(Person, card.person_id)
        assert (person.first_name, str(person.birthday), person.email) == (
            "Анна", "1990-05-07", "anna@example.com",
        )  # fmt: skip
        registration = session.get_one(Registration, card.id)
        assert registration.source_id == desk.source.id
        assert session.exec(select(PersonPhone.verified_at)).one() == desk.now
        consents = session.exec(select(Consent.purpose, Consent.channel)).all()
        assert sorted((str(p), str(c)) for p, c in consents) == [
            ("advertising", "sms"), ("data", "None"),
        ]  # fmt: skip


def test_nothing_is_agreed_to_beforehand(visitor: Visitor) -> None:
    """No box is ticked, and the card comes without advertising too."""
    visitor.open()
    assert not re.search(r"<input[^>]*checkbox[^>]*checked", visitor.page)
    visitor.send()
    visitor.type_code()
    with visitor.database.read_tx() as session:
        assert [str(each) for each in session.exec(select(Consent.purpose))] == ["data"]


def test_both_texts_are_on_the_page_in_full(visitor: Visitor) -> None:
    """In the language of the page, with their versions, and each for itself."""
    for language, words in (
        ("ru", ("Я свободно, своей волей", "Полный текст, версия\xa01")),
        ("en", ("Freely and in my own interest", "The whole text, version 1")),
    ):
        visitor.open(f"/join/guest?lang={language}")
        for each in words:
            assert each in visitor.page
        assert visitor.page.count('class="prose"') == 2


@pytest.mark.parametrize(
    "typed",
    [PHONE, "9001234567", "+7 900 123 45 67", "7900 1234567", "8 900 123–45–67", "8(900)1234567"],
)
def test_phones_as_people_type_them(visitor: Visitor, typed: str) -> None:
    """All of them are one phone."""
    visitor.open()
    visitor.send(phone=typed)
    assert visitor.address == "/join/guest/code"
    assert "45 67" in visitor.page.replace("\xa0", " ")
    assert len(visitor.codes()) == 1


@pytest.mark.parametrize("typed", ["+7 701 123 45 67", "+49 151 23456789", "+375 29 123-45-67"])
def test_phones_from_abroad(visitor: Visitor, typed: str) -> None:
    """With a plus and the country code."""
    visitor.open()
    visitor.send(phone=typed)
    assert visitor.address == "/join/guest/code"


@pytest.mark.parametrize("typed", ["", "12345", "8 900 123", "anna", "+7 900 123 45 678", "☎" * 50])
def test_what_is_no_phone_is_explained(visitor: Visitor, typed: str) -> None:
    """Beside the field, which has the focus; what was typed stays, and nothing is sent."""
    visitor.open()
    answer = visitor.send(phone=typed, channels="wallet")
    assert answer.status_code == 400
    assert "This is not a phone number" in visitor.page
    assert re.search(r'id="phone"[^>]*aria-invalid="true"[^>]*autofocus', visitor.page)
    assert 'value="Анна"' in visitor.page
    assert re.search(r'id="agree"[^>]* checked', visitor.page)
    assert re.search(r'id="channel-wallet"[^>]* checked', visitor.page)
    assert visitor.codes() == []


def test_everything_wrong_is_told_at_once(visitor: Visitor) -> None:
    """In the order of the page, in words, and the first one has the focus."""
    visitor.open()
    answer = visitor.send(phone="1", first_name=" ", birthday_day="31", birthday_month="2",
                          birthday_year="1990", email="anna", data_text=None)  # fmt: skip
    assert answer.status_code == 400
    told = re.findall(r'<a href="#(\w+)">', visitor.page)
    assert told == ["phone", "first_name", "birthday", "email", "data_text"]
    assert visitor.page.count("autofocus") == 1
    assert 'value="31"' in visitor.page
    assert visitor.count(Message) == 0


@pytest.mark.parametrize(
    ("day", "month", "year", "fine"),
    [
        ("29", "2", "2000", True), ("29", "2", "2001", False), ("1", "1", "90", False),
        ("", "1", "1990", False), ("٣", "1", "1990", False), ("1", "1", "2030", False),
        ("1", "1", "99999999999999999999", False), (" 07 ", "05", "1990", True),
    ],
)  # fmt: skip
def test_a_birthday_is_a_day_that_has_been(
    visitor: Visitor, day: str, month: str, year: str, fine: bool
) -> None:
    """Years need four digits: nobody guesses which century was meant."""
    visitor.open()
    visitor.send(birthday_day=day, birthday_month=month, birthday_year=year)
    assert (visitor.address == "/join/guest/code") is fine
    assert ("There is no such birthday" in visitor.page) is not fine


def test_the_programme_says_what_is_asked(desk: Desk, visitor: Visitor) -> None:
    """Hidden fields are not there, required ones must be filled in."""
    fields = {"last_name": Presence.REQUIRED, "birthday": Presence.HIDDEN, "email": Presence.HIDDEN}
    desk.rules(fields=fields)
    visitor.open()
    for name in ("birthday_day", 'name="email"', "channel-email"):
        assert name not in visitor.page
    visitor.send(birthday_day="x")
    assert "Please fill this in" in visitor.page
    visitor.send(last_name="Кузнецова")
    assert visitor.address == "/join/guest/code"


def test_the_language_changes_and_nothing_is_lost(visitor: Visitor) -> None:
    """Also what would be wrong; nothing is checked and nothing is sent."""
    visitor.open()
    answer = visitor.client.post(
        "/join/guest?lang=ru",
        data=visitor.fields | {"phone": "12", "only": "language", "channels": ["sms", "wallet"]},
    )
    assert answer.status_code == 200
    for words in ('lang="ru"', 'value="12"', 'value="Анна"', "Получить карту"):
        assert words in answer.text
    assert len(re.findall(r"checkbox[^>]* checked", answer.text)) == 3
    assert 'role="alert"' not in answer.text


def test_a_form_from_elsewhere_is_refused(desk: Desk, visitor: Visitor) -> None:
    """Another site's, another visitor's token, or none: nothing happens, consent is not taken
    over, and what was typed is kept for whoever only waited too long."""
    visitor.open()
    stranger = desk.visitor()
    stranger.open()
    for token in ("", "forged", stranger.fields["csrf_token"]):
        answer = visitor.send(csrf_token=token, channels="sms")
        assert answer.status_code == 400
        assert "tick the boxes again" in visitor.page
        assert 'value="8 (900) 123-45-67"' in visitor.page
        assert not re.search(r"checkbox[^>]* checked", visitor.page)
    assert visitor.codes() == []
    for path in ("code", "again", "who"):
        visitor.open()
        visitor.send()
        before = visitor.codes()
        assert visitor.post(f"/join/guest/{path}", csrf_token="", code=before[-1]).status_code in (
            200, 400,
        )  # fmt: skip
        assert visitor.codes() == before
    assert visitor.count(Card) == 0


def test_the_session_is_safe(desk: Desk) -> None:
    """Scripts cannot read it, other sites cannot send it, and it goes over https only."""
    desk.app.config["SESSION_COOKIE_SECURE"] = True
    cookie = desk.app.test_client().get("/join/guest").headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=Lax", "Secure", "Path=/"):
        assert part in cookie


def test_sent_twice_counts_once(visitor: Visitor) -> None:
    """Back and again, or a double click: one message, one card."""
    visitor.open()
    visitor.send()
    visitor.send()
    assert len(visitor.codes()) == 1
    first = visitor.type_code().request.path
    assert first.startswith("/c/")
    visitor.send()
    assert (len(visitor.codes()), visitor.count(Card)) == (1, 1)
    assert "You have your card already" in visitor.page


def test_sent_at_once_by_many_is_one_card(desk: Desk, visitor: Visitor) -> None:
    """The form by eight connections, then the code by eight."""
    visitor.open()
    cookie = visitor.client.get_cookie("session")
    assert cookie is not None

    def at_once(do: Callable[[FlaskClient], TestResponse]) -> list[TestResponse]:
        def one(_: int) -> TestResponse:
            client = desk.app.test_client()
            client.set_cookie("session", session_of[0])
            return do(client)

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(one, range(8)))

    session_of = [cookie.value]
    sent = at_once(lambda client: client.post("/join/guest", data=visitor.fields))
    assert {answer.headers.get("Location") for answer in sent} == {"/join/guest/code"}
    assert len(visitor.codes()) == 1
    session_of[0] = re.findall(r"session=([^;]+)", sent[0].headers["Set-Cookie"])[0]
    code = {"code": visitor.codes()[0], "csrf_token": visitor.fields["csrf_token"]}
    answers = at_once(lambda client: client.post("/join/guest/code", data=code))
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert answers[0].headers["Location"].startswith("/c/")
    assert visitor.count(Card) == 1


def test_a_wrong_code_is_told_and_tries_end(visitor: Visitor) -> None:
    """How many are left, and that a new one helps; then even the right one is none."""
    visitor.open()
    visitor.send()
    wrong = "000000" if visitor.codes()[-1] != "000000" else "000001"
    assert visitor.type_code(wrong).status_code == 400
    assert "4 more times" in visitor.page
    for typed in ("", "abc", "1" * 64, "٣٣٣٣٣٣", "000002" if wrong == "000001" else "000001"):
        visitor.type_code(typed)
    visitor.type_code()
    assert visitor.address == "/join/guest/code"
    assert "last try" in visitor.page
    assert visitor.count(Card) == 0


def test_a_new_code_after_a_minute(desk: Desk, visitor: Visitor) -> None:
    """Sooner nothing is sent, and the page says when."""
    visitor.open()
    visitor.send()
    visitor.post("/join/guest/again", route="sms")
    assert "in 60 seconds" in visitor.page
    assert len(visitor.codes()) == 1
    desk.now += timedelta(seconds=61)
    visitor.post("/join/guest/again", route="sms")
    assert len(visitor.codes()) == 2
    visitor.type_code()
    assert visitor.address.startswith("/c/")


def test_a_code_expires(desk: Desk, visitor: Visitor) -> None:
    """And the page offers a new one."""
    visitor.open()
    visitor.send()
    desk.now += timedelta(minutes=11)
    visitor.type_code()
    assert "The code has expired" in visitor.page
    visitor.post("/join/guest/again", route="sms")
    visitor.type_code()
    assert visitor.address.startswith("/c/")


def test_a_form_ends(desk: Desk, visitor: Visitor) -> None:
    """After its hour it leads back to a new one."""
    visitor.open()
    visitor.send()
    desk.now += timedelta(hours=2)
    visitor.get("/join/guest/code")
    assert "This form has expired" in visitor.page
    assert 'href="/join/guest"' in visitor.page


def test_a_known_phone_is_no_secret_before_the_code(
    desk: Desk, visitor: Visitor, now: datetime
) -> None:
    """The pages up to the code are the same to the letter, known or not."""
    with desk.database.write_tx() as session:
        member(session, desk.shop, now, phone="+79001234567")
    seen = []
    for phone in ("+7 900 123-45-67", "+7 900 765-45-67"):
        stranger = desk.visitor()
        stranger.open()
        stranger.send(phone=phone, first_name="Пётр")
        stranger.type_code("000001")
        tokens = r'(name="(?:csrf_token|nonce)" value=")[^"]*'
        seen.append((stranger.address, re.sub(tokens, r"\1", stranger.page)))
    assert seen[0] == seen[1]
    assert "Анна" not in seen[0][1]


def test_the_owner_gets_the_card_back(desk: Desk, visitor: Visitor, now: datetime) -> None:
    """By the name or by choice: the same card, not another."""
    with desk.database.write_tx() as session:
        token = member(session, desk.shop, now, phone="+79001234567").link_token
    for name in ("Анна", "Аня"):
        stranger = desk.visitor()
        stranger.open()
        desk.now += timedelta(minutes=2)
        stranger.send(first_name=name, last_name="Соколова" if name == "Анна" else "")
        stranger.type_code()
        if name == "Аня":
            assert stranger.address == "/join/guest/who"
            assert "Анна С." in stranger.page
            assert "Соколова" not in stranger.page
            person = re.findall(r'name="person" value="(\w+)"', stranger.page)[0]
            stranger.post("/join/guest/who", person=person)
        assert stranger.address == f"/c/{token}"
    assert visitor.count(Card) == 1


def test_another_person_of_the_family(desk: Desk, visitor: Visitor, now: datetime) -> None:
    """Gets a card of their own, and shares the balance where they say so."""
    with desk.database.write_tx() as session:
        member(session, desk.shop, now, phone="+79001234567", points=100)
    visitor.open()
    visitor.send(first_name="Пётр")
    visitor.type_code()
    host = re.findall(r'name="share" value="(\w+)"', visitor.page)[0]
    assert visitor.post("/join/guest/who", person="nobody").status_code == 400
    assert visitor.post("/join/guest/who", person="", share="nobody").status_code == 400
    visitor.post("/join/guest/who", person="", share=host)
    assert visitor.address.startswith("/c/")
    with desk.database.read_tx() as session:
        accounts = session.exec(select(Card.account_id)).all()
    assert len(accounts) == 2
    assert len(set(accounts)) == 1


def test_who_proved_nothing_chooses_nothing(desk: Desk, visitor: Visitor, now: datetime) -> None:
    """The choice's page leads back to the code."""
    with desk.database.write_tx() as session:
        member(session, desk.shop, now, phone="+79001234567")
    visitor.open()
    visitor.send(first_name="Пётр")
    visitor.get("/join/guest/who")
    assert visitor.address == "/join/guest/code"
    visitor.post("/join/guest/who", person="")
    assert (visitor.address, visitor.count(Card)) == ("/join/guest/code", 1)


def test_pages_of_nobody_lead_to_the_form(visitor: Visitor) -> None:
    """Without an application in the session there is nothing to see."""
    for path in ("code", "who"):
        visitor.get(f"/join/guest/{path}")
        assert visitor.address == "/join/guest"
    for path in ("code", "who", "again"):
        visitor.post(f"/join/guest/{path}", code="123456")
        assert visitor.address == "/join/guest"


def test_a_closed_door_says_so(desk: Desk, visitor: Visitor) -> None:
    """Closed registration, a closed programme, gift cards, and what is not there."""
    assert visitor.get("/join/gift").status_code == 404
    assert visitor.get("/join/nothing").status_code == 404
    assert visitor.get("/join/" + "x" * 500).status_code == 404
    visitor.open()
    desk.rules(open=False)
    for answer in (visitor.send(), visitor.get("/join/guest?lang=en")):
        assert answer.status_code == 404
        assert "Nobody can join here" in visitor.page
        assert "Карта гостя" in visitor.page  # whose form it would be
        assert "/card.css" in visitor.page
    assert visitor.codes() == []


def test_links_that_lead_nowhere(desk: Desk, visitor: Visitor) -> None:
    """An unknown code is a friendly 404; a closed source's link still leads to the form."""
    for code in ("none", "A" * 60, "%00", "a/b"):
        assert visitor.get(f"/j/{code}").status_code == 404
    with desk.database.write_tx() as session:
        sources.close(session, session.get_one(JoinSource, desk.source.id), desk.now)
    assert visitor.get(f"/j/{desk.source.code}").status_code == 200
    assert visitor.address == "/join/guest"


def test_pages_are_private_and_small(visitor: Visitor) -> None:
    """Never kept, never indexed, no script, nothing from elsewhere."""
    visitor.open()
    answer = visitor.client.get("/join/guest")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", answer.text)
    assert len(answer.data) < 40_000


def test_names_are_shown_and_never_run(visitor: Visitor) -> None:
    """Whatever is typed comes back as text."""
    visitor.open()
    visitor.send(phone='"><img src=x>', first_name="<b>&\0")
    assert "<img src=x" not in visitor.page
    assert "<b>&" not in visitor.page


def test_too_many_tries_are_told_with_the_time(desk: Desk, visitor: Visitor) -> None:
    """Who pumps messages is stopped, and what was typed stays."""
    for _ in range(10):
        visitor.open()
        answer = visitor.send()
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert len(visitor.codes()) < 10
    assert "Too many tries" in visitor.page
    assert 'value="Анна"' in visitor.page


def test_without_a_gateway_the_form_is_kept(
    desk: Desk, visitor: Visitor, database: Database
) -> None:
    """The page says that no code can be sent, and loses nothing."""
    with database.write_tx() as session:
        _close_gateways(session, desk.now)
    visitor.open()
    answer = visitor.send()
    assert answer.status_code == 503
    assert "cannot send a code" in visitor.page
    assert 'value="Анна"' in visitor.page


def _close_gateways(session: Session, now: datetime) -> None:
    for gateway in session.exec(select(Gateway)):
        gateway.closed_at = now
        session.add(gateway)


def test_the_whole_application_has_the_pages(database: Database, tmp_path: Any) -> None:
    """The composition root puts them in."""
    installation = assemble(load(data_dir=tmp_path), database)
    rules = {rule.rule for rule in create_app(installation).url_map.iter_rules()}
    installation.events.close()
    assert {"/j/<code>", "/join/<slug>", "/join/<slug>/who", "/terms/<slug>"} <= rules


@pytest.fixture
def plastic(desk: Desk) -> str:
    """The page of a card that lies in somebody's purse; its number is 77-001, its phone unknown."""
    with desk.database.write_tx() as session:
        card = enrol(
            session, programme=desk.shop.points, phone=None, first_name="Анна", actor=OPERATOR,
            now=desk.now,
        ).card  # fmt: skip
        ledger.credit(session, card.account_id, 300, source="import", actor=OPERATOR,
                      reason="import", now=desk.now)  # fmt: skip
        add_number(session, card, "77-001", desk.now)
        return card.link_token


def test_a_plastic_card_comes_along(visitor: Visitor, plastic: str) -> None:
    """With its balance, however the number is written."""
    visitor.open()
    visitor.send(plastic_number=" 77001 ")
    visitor.type_code()
    assert visitor.address == f"/c/{plastic}"
    assert ">300<" in visitor.page


def test_a_plastic_card_of_others_does_not(visitor: Visitor, plastic: str) -> None:
    """Another number may be tried, or one goes on without; how it is wrong is not said."""
    visitor.open()
    visitor.send(plastic_number="77-002")
    visitor.type_code()
    assert visitor.address == "/join/guest/who"
    assert "We cannot give you this card" in visitor.page
    visitor.post("/join/guest/plastic", plastic_number="77-003")
    assert "We cannot give you this card" in visitor.page
    visitor.post("/join/guest/plastic", plastic_number="77 001")
    assert visitor.address == f"/c/{plastic}"


def test_going_on_without_the_plastic_card(visitor: Visitor, plastic: str) -> None:
    """A new card, and the plastic one stays whose it is."""
    visitor.open()
    visitor.send(plastic_number="77-002")
    visitor.type_code()
    visitor.get("/join/guest/code")  # whoever comes back later finds the same choice
    assert visitor.address == "/join/guest/who"
    assert "Get the card" in visitor.page or "without the plastic" in visitor.page
    visitor.post("/join/guest/who", person="")
    assert visitor.address.startswith("/c/")
    assert visitor.address != f"/c/{plastic}"
    assert visitor.count(Card) == 2


def test_plastic_numbers_cannot_be_tried_out(visitor: Visitor, plastic: str) -> None:
    """After some tries there is a pause, for the right one too."""
    visitor.open()
    visitor.send(plastic_number="77-002")
    visitor.type_code()
    answers = [visitor.post("/join/guest/plastic", plastic_number=f"78{n}") for n in range(12)]
    assert answers[-1].status_code == 429
    assert visitor.post("/join/guest/plastic", plastic_number="77-001").status_code == 429
    assert "Too many tries" in visitor.page


def test_confirming_by_a_call(desk: Desk, visitor: Visitor) -> None:
    """The second way: the number to call, then a page that notices, then the card."""
    with desk.database.write_tx() as session:
        add_gateway(session, desk.now, Channel.CALL)
    visitor.open()
    visitor.send()
    assert "Confirm by a call instead" in visitor.page
    visitor.post("/join/guest/again", route="call")
    assert "Call to confirm" in visitor.page
    assert 'http-equiv="refresh"' in visitor.page
    assert "I have called" not in visitor.page  # there is no number yet
    visitor.post("/join/guest/code", code="")
    assert "no call yet" in visitor.page
    with desk.database.write_tx() as session:
        proof = session.exec(select(PhoneProof).where(PhoneProof.route == Route.CALL)).one()
        proof.reference = "+78005550001"
        session.add(proof)
    visitor.get("/join/guest/code")
    assert 'href="tel:+78005550001"' in visitor.page
    assert "+7 800 555-00-01" in visitor.page
    assert "I have called" in visitor.page
    with desk.database.write_tx() as session:
        event = CallReceived(
            at=desk.now, organisation_id=None, phone="+79001234567", external_id=""
        )
        call_received(session, event)
    visitor.get("/join/guest/code")
    assert "Number confirmed" in visitor.page
    visitor.post("/join/guest/code", code="")
    assert visitor.address.startswith("/c/")
