"""Logging in at a card's page."""

from __future__ import annotations

import re

import pytest
from sqlmodel import select

from tests.storefront.account.house import OTHER_PHONE, PHONE, Browser, House, everything
from walletsvc.cards.models import Card
from walletsvc.messaging.kinds import Channel, MessageKind
from walletsvc.messaging.models import Gateway, Message
from walletsvc.people.models import Person, PersonPhone

SECRETS = ("Why this much?", "Книжный двор", "Purchases", "Settings", "Devices")
PAGES = ("/purchases", "/certificates", "/settings", "/phone", "/purchases/00000000000000000000")


def test_a_link_alone_shows_the_face_and_the_way_in(house: House, browser: Browser) -> None:
    """No history, no reason of the balance, no phone, not even a part of it."""
    card = house.past.card
    assert browser.open(card).status_code == 200
    assert f'href="/c/{card.link_token}/login"' in browser.page
    for words in (*SECRETS, "10 00", "secret words"):
        assert words not in browser.words
    browser.get(f"/c/{card.link_token}/login")
    assert "Соколова" not in browser.page
    assert not re.search(r"1000|10 00", browser.words)


@pytest.mark.parametrize("page", PAGES)
def test_every_other_page_leads_to_the_log_in(house: House, browser: Browser, page: str) -> None:
    browser.open(house.past.card, page)
    assert browser.address == f"/c/{house.past.card.link_token}/login"


def test_a_link_alone_gets_no_code_of_the_moment(house: House, browser: Browser) -> None:
    answer = browser.client.get(f"/c/{house.past.card.link_token}/code.svg")
    assert (answer.status_code, answer.data) == (401, b"")


def test_a_phone_a_code_and_in(house: House, browser: Browser) -> None:
    """As people type phones and codes; the page is then the holder's."""
    card = house.past.card
    browser.ask(card, "8 (900) 000-10-00")
    assert browser.address.endswith("/login/code")
    assert 'autocomplete="one-time-code"' in browser.page
    assert "10 00" in browser.words
    code = browser.codes()[-1]
    browser.type_code(card, f" {code[:3]}-{code[3:]} ")
    assert browser.address == f"/c/{card.link_token}"
    assert "Why this much?" in browser.words
    assert browser.is_in(card)


def test_the_cookie_is_for_the_page_alone(house: House, browser: Browser) -> None:
    """Out of reach of scripts and other sites, of https only, and gone after thirty days."""
    card = house.past.card
    house.app.config["SESSION_COOKIE_SECURE"] = True
    browser.client.get(f"/c/{card.link_token}/login", base_url="https://cards.example")
    page = browser.client.get(f"/c/{card.link_token}/login", base_url="https://cards.example")
    token = re.search(r'name="csrf_token" value="([^"]*)"', page.text)
    assert token is not None
    sent = {"csrf_token": token[1], "phone": PHONE}
    browser.client.post(f"/c/{card.link_token}/login", data=sent, base_url="https://cards.example")
    sent = {"csrf_token": token[1], "code": browser.codes()[-1]}
    answer = browser.client.post(
        f"/c/{card.link_token}/login/code", data=sent, base_url="https://cards.example"
    )
    made = next(each for each in answer.headers.getlist("Set-Cookie") if "account=" in each)
    for part in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/c", "Max-Age=2592000"):
        assert part in made
    value = made.split(";")[0].removeprefix("account=")
    with house.database.read_tx() as session:
        row = session.connection().exec_driver_sql("SELECT * FROM customer_sessions").one()
        assert value not in str(row)


def test_a_log_in_of_one_card_opens_no_other(house: House, browser: Browser) -> None:
    """Person A at the page of person B is led to the log-in; begun there, finished here: no."""
    mine, theirs = house.past.card, house.member("Вера", OTHER_PHONE)
    browser.log_in(mine)
    assert browser.is_in(mine)
    assert not browser.is_in(theirs)
    browser.ask(mine)
    other = house.browser()
    other.ask(theirs, OTHER_PHONE)
    code = other.codes()[-1]
    other.post(f"/c/{mine.link_token}/login/code", code=code)
    assert not other.is_in(mine)


def test_a_family_shares_phone_and_tablet(house: House, browser: Browser) -> None:
    """The log-in is of the card's holder; the tablet may have several at once."""
    mine, theirs = house.past.card, house.member("Пётр", PHONE)
    browser.log_in(theirs)
    assert not browser.is_in(mine)
    assert "Книжный двор" not in browser.get(f"/c/{theirs.link_token}/purchases").text
    browser.log_in(mine)
    assert browser.is_in(mine)
    assert browser.is_in(theirs)
    browser.open(mine, "/settings")
    browser.post(f"/c/{mine.link_token}/logout")
    assert not browser.is_in(mine)
    assert browser.is_in(theirs)


@pytest.mark.parametrize("lost", [True, False])
def test_a_page_that_was_open_for_long_logs_out(house: House, browser: Browser, lost: bool) -> None:
    """Whoever leaves a shared tablet must be out: neither the form's age nor the form's own cookie
    matters. Other sites cannot send this form with the log-in's cookie."""
    card = house.past.card
    browser.log_in(card)
    browser.open(card, "/settings")
    if lost:
        browser.client.delete_cookie("session")
        browser.post(f"/c/{card.link_token}/logout")
    else:
        browser.client.post(f"/c/{card.link_token}/logout", data={"csrf_token": "of yesterday"})
    assert not browser.is_in(card)
    assert browser.cookie() == ""
    assert [each.closed_at for each in house.logins()] == [house.now]


def test_the_log_in_cookie_stays_with_our_own_pages(house: House, browser: Browser) -> None:
    """What logging out relies on: a browser sends it with no form of another site."""
    browser.log_in(house.past.card)
    cookie = browser.client.get_cookie("account", path="/c")
    assert cookie is not None
    assert cookie.same_site == "Lax"


def test_no_cookie_can_be_planted(house: House, browser: Browser) -> None:
    """What the browser had before is not what it gets: a new token at each log-in."""
    card = house.past.card
    planted = "ab" * 32
    browser.client.set_cookie("account", planted, path="/c")
    browser.log_in(card)
    assert browser.cookie().startswith(f"{planted}.")
    thief = house.browser()
    thief.client.set_cookie("account", planted, path="/c")
    assert not thief.is_in(card)


@pytest.mark.parametrize(
    "address",
    ["/login", "/login/code", "/login/again", "/settings/language", "/devices", "/phone",
     "/settings/advertising", "/settings/data", "/certificates", "/certificates/remove",
     "/phone/code", "/phone/again", "/phone/new", "/phone/anew"],
)  # fmt: skip
def test_forms_of_other_sites_do_nothing(house: House, browser: Browser, address: str) -> None:
    """Without the token of a page of ours nothing is written."""
    card = house.past.card
    browser.log_in(card)
    with house.database.read_tx() as session:
        before = everything(session)
    fields = {"phone": OTHER_PHONE, "code": "123456", "language": "en", "device": "others",
              "route": "sms", "old": "0", "csrf_token": "forged"}  # fmt: skip
    browser.client.post(f"/c/{card.link_token}{address}", data=fields)
    with house.database.read_tx() as session:
        assert everything(session) == before
    assert browser.is_in(card)


def test_logging_in_verifies_the_card(house: House, browser: Browser) -> None:
    """The phone is in the holder's hand: what waited for that comes."""
    with house.database.write_tx() as session:
        session.get_one(Card, house.past.card.id).verified_at = None
    browser.log_in(house.past.card)
    with house.database.read_tx() as session:
        assert session.get_one(Card, house.past.card.id).verified_at == house.now
        assert session.exec(select(PersonPhone.verified_at)).one() == house.now


def test_an_email_says_that_somebody_logged_in(house: House, browser: Browser) -> None:
    """Who has given an address; the phone has just had an SMS."""
    with house.database.write_tx() as session:
        session.get_one(Person, house.past.card.person_id).email = "anna@example.com"
        session.add(Gateway(channel=Channel.EMAIL, kind="smtp", label="m", config="{}",
                            created_at=house.now))  # fmt: skip
    browser.log_in(house.past.card)
    with house.database.read_tx() as session:
        told = session.exec(select(Message).where(Message.kind == MessageKind.LOGGED_IN)).one()
    assert told.channels == ["email"]
    assert "20.11.2026, 12:30" in (told.body or "")


def test_a_certificate_has_no_log_in(house: House, browser: Browser) -> None:
    """Its page is all there is."""
    token = house.past.certificate.link_token
    browser.get(f"/c/{token}/login")
    assert browser.address == f"/c/{token}"
    assert "/login" not in browser.page


def test_an_unknown_address_has_no_log_in(browser: Browser) -> None:
    assert browser.get("/c/nothing/login").status_code == 404


def test_all_of_it_is_kept_by_nobody(house: House, browser: Browser) -> None:
    """Neither the browser nor a proxy, and no site learns the address."""
    card = house.past.card
    browser.log_in(card)
    for page in ("", "/login", "/code.svg", *PAGES[:4]):
        answer = browser.client.get(f"/c/{card.link_token}{page}")
        assert answer.headers["Cache-Control"] == "no-store", page
        assert answer.headers["Referrer-Policy"] == "no-referrer", page
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], page
        assert "noindex" in answer.headers["X-Robots-Tag"], page
