"""The pages of joining as a browser sees them, from the form to the card."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlmodel import Session, select
from werkzeug.test import TestResponse

from tests.storefront.join.visitor import PHONE, Desk, Visitor
from walletsvc.app.installation import assemble
from walletsvc.app.web import create_app
from walletsvc.cards.models import Card
from walletsvc.enrolment import sources
from walletsvc.enrolment.models import JoinSource, Registration
from walletsvc.enrolment.settings import Presence
from walletsvc.messaging.models import Gateway, Message
from walletsvc.people.consents.models import Consent
from walletsvc.people.models import Person, PersonPhone
from walletsvc.settings import load
from walletsvc.storage.engine import Database


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
