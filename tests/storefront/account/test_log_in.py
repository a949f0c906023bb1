"""Logging in at a card's page."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import Session, col, select
from werkzeug.test import TestResponse

from tests.messaging.test_outbox import add_gateway
from tests.storefront.account.house import OTHER_PHONE, PHONE, Browser, House
from walletsvc.cards.models import Card
from walletsvc.core.actor import OPERATOR
from walletsvc.enrolment.merging.service import merge, undo
from walletsvc.enrolment.personal.erasing import erase
from walletsvc.jobs.events import CallReceived
from walletsvc.messaging.kinds import Channel, MessageKind
from walletsvc.messaging.models import Gateway, Message
from walletsvc.messaging.proving.models import PhoneProof, Route
from walletsvc.messaging.proving.ways import call_received
from walletsvc.people.models import Person, PersonPhone
from walletsvc.people.sessions import service as sessions
from walletsvc.people.sessions.models import CustomerSession

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


def shape(page: str) -> str:
    """A page without what differs from one request to the next."""
    page = re.sub(r'name="csrf_token" value="[^"]*"', "", page)
    return re.sub(r"\+7\s•••\s•••\s\d\d\s\d\d", "PHONE", page)


def test_a_wrong_phone_looks_like_the_right_one(house: House) -> None:
    """Pages, addresses, cookies, tries, pauses: all is the same, except that no SMS leaves."""
    right, wrong = house.browser(), house.browser()
    card = house.past.card
    seen: dict[str, list[tuple[int, str, str]]] = {"right": [], "wrong": []}
    for name, visitor, phone in (("right", right, PHONE), ("wrong", wrong, OTHER_PHONE)):

        def note(answer: TestResponse, name: str = name, visitor: Browser = visitor) -> None:
            seen[name].append((answer.status_code, visitor.address, shape(visitor.page)))

        before = len(visitor.codes())
        note(visitor.ask(card, phone))
        assert len(visitor.codes()) - before == (name == "right")
        note(visitor.post(f"/c/{card.link_token}/login/again", route="sms"))
        for typed in ("000000", "abc", "1", "000001", "000002", "000003"):
            if typed not in visitor.codes():
                note(visitor.type_code(card, typed))
        house.now += timedelta(minutes=11)
        note(visitor.open(card, "/login/code"))
        note(visitor.post(f"/c/{card.link_token}/login/again", route="sms"))
    assert seen["right"] == seen["wrong"]
    assert len(right.codes()) == 2


def test_limits_count_for_wrong_phones_too(house: House, browser: Browser) -> None:
    """Whoever tries phones is stopped, and a code is nowhere to be guessed."""
    card = house.past.card
    statuses = []
    for _ in range(7):
        statuses.append(browser.ask(card, OTHER_PHONE).status_code)
        house.now += timedelta(minutes=4)
        browser.client.delete_cookie("session")
    assert statuses.count(429) == 2
    assert "Too many tries" in browser.words
    assert browser.codes() == []


def test_without_a_gateway_nobody_learns_anything(house: House, browser: Browser) -> None:
    """Neither phone can be sent a code, and both are told so."""
    with house.database.write_tx() as session:
        for gateway in session.exec(select(Gateway)):
            gateway.closed_at = house.now
    answers = [browser.ask(house.past.card, phone) for phone in (PHONE, OTHER_PHONE)]
    assert [answer.status_code for answer in answers] == [503, 503]


def test_a_code_is_wrong_a_few_times_only(house: House, browser: Browser) -> None:
    card = house.past.card
    browser.ask(card)
    right = browser.codes()[-1]
    for typed in ("000000", "000001", "000002", "000003", "000004"):
        assert browser.type_code(card, typed).status_code == 400
    assert browser.type_code(card, right).status_code == 400
    assert "last try" in browser.words
    assert not browser.is_in(card)


def test_somebody_elses_code_is_none(house: House) -> None:
    """A stranger at the same page cannot ride on the code that the holder was sent."""
    card = house.past.card
    holder, stranger = house.browser(), house.browser()
    holder.ask(card)
    stranger.ask(card, OTHER_PHONE)
    assert stranger.type_code(card, holder.codes()[-1]).status_code == 400
    assert not stranger.is_in(card)
    holder.type_code(card, holder.codes()[-1])
    assert holder.is_in(card)


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


def test_the_same_code_twice_at_once_is_one_log_in(house: House, browser: Browser) -> None:
    """A double click gets in, once, with the same cookie."""
    card = house.past.card
    browser.ask(card)
    token = re.search(r'name="csrf_token" value="([^"]*)"', browser.page)
    cookie = browser.client.get_cookie("session")
    assert token is not None
    assert cookie is not None
    sent = {"csrf_token": token[1], "code": browser.codes()[-1]}

    def once(_: int) -> str:
        client = house.app.test_client()
        client.set_cookie("session", cookie.value)
        answer = client.post(f"/c/{card.link_token}/login/code", data=sent)
        made = [each for each in answer.headers.getlist("Set-Cookie") if "account=" in each]
        return made[0].split(";")[0] if made else f"none: {answer.status_code}"

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(once, range(4)))) == 1
    assert len(house.logins()) == 1
    house.now += timedelta(minutes=3)
    assert once(0).startswith("none")


def test_a_used_code_with_another_ones_cookie_is_nothing(house: House, browser: Browser) -> None:
    """Reading the code over somebody's shoulder helps nobody: it is this browser's."""
    card = house.past.card
    browser.log_in(card)
    stranger = house.browser()
    stranger.ask(card, OTHER_PHONE)
    stranger.type_code(card, browser.codes()[-1])
    assert not stranger.is_in(card)


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


def everything(session: Session) -> list[str]:
    """What a form could have changed."""
    rows: list[str] = []
    for table in (Message, PhoneProof, CustomerSession, PersonPhone, Person):
        rows += sorted(str(row.model_dump()) for row in session.exec(select(table)))
    return rows


def test_a_log_in_ends_after_thirty_days(house: House, browser: Browser) -> None:
    card = house.past.card
    browser.log_in(card)
    house.now += timedelta(days=30, seconds=-1)
    assert browser.is_in(card)
    house.now += timedelta(seconds=1)
    assert not browser.is_in(card)
    with house.database.write_tx() as session:
        sessions.forget(session, house.now + timedelta(seconds=1))
    assert house.logins() == []


def test_when_it_was_last_used_is_written_once_an_hour(house: House, browser: Browser) -> None:
    browser.log_in(house.past.card)
    began = house.now
    for minutes, seen in ((59, 0), (60, 60), (90, 60), (125, 125)):
        house.now = began + timedelta(minutes=minutes)
        browser.open(house.past.card)
        assert house.logins()[0].seen_at == began + timedelta(minutes=seen)


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


def test_who_is_erased_is_logged_out_and_nothing_is_kept(house: House, browser: Browser) -> None:
    card = house.past.card
    browser.log_in(card)
    with house.database.write_tx() as session:
        erase(session, session.get_one(Person, card.person_id), reason="x", actor=OPERATOR,
              now=house.now, forfeit=True)  # fmt: skip
    assert house.logins() == []
    assert browser.open(card).status_code == 404


def test_who_is_merged_logs_in_anew(house: House, browser: Browser) -> None:
    """The old address leads to the card that stays, whose holder must log in."""
    kept = house.member("Анна", OTHER_PHONE, "Соколова")
    card = house.past.card
    browser.log_in(card)
    with house.database.write_tx() as session:
        people = [session.get_one(Person, each.person_id) for each in (kept, card)]
        merge(session, people[0], people[1], reason="x", actor=OPERATOR, now=house.now)
    assert not browser.is_in(card)
    browser.log_in(card)
    assert browser.is_in(kept)
    browser.open(card, "/purchases")
    assert "Книжный двор" in browser.words


def test_a_closed_person_gets_no_code(house: House, browser: Browser) -> None:
    with house.database.write_tx() as session:
        session.get_one(Person, house.past.card.person_id).closed_at = house.now
    browser.ask(house.past.card)
    assert browser.codes() == []


def test_a_phone_that_is_theirs_no_longer_logs_out(house: House, browser: Browser) -> None:
    """Whoever took it away: staff, an import, a merger."""
    card = house.past.card
    browser.log_in(card)
    with house.database.write_tx() as session:
        held = session.exec(
            select(PersonPhone).where(col(PersonPhone.person_id) == card.person_id)
        ).one()
        session.delete(held)
    assert not browser.is_in(card)


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


def ring(house: House, browser: Browser, card: Card, phone: str) -> TestResponse:
    """Prove a phone by ringing instead."""
    with house.database.write_tx() as session:
        add_gateway(session, house.now, Channel.CALL)
    browser.ask(card, phone)
    browser.post(f"/c/{card.link_token}/login/again", route="call")
    assert "Call to confirm" in browser.words
    assert 'http-equiv="refresh"' in browser.page
    with house.database.write_tx() as session:
        proof = session.exec(select(PhoneProof).where(PhoneProof.route == Route.CALL)).one()
        proof.reference = "+78005550001"
    browser.open(card, "/login/code")
    assert 'href="tel:+78005550001"' in browser.page
    browser.post(f"/c/{card.link_token}/login/code", code="")
    assert "Not yet" in browser.words
    with house.database.write_tx() as session:
        call_received(
            session,
            CallReceived(at=house.now, organisation_id=None, phone=phone, external_id=""),
        )
    browser.open(card, "/login/code")
    assert "Number confirmed" in browser.words
    return browser.post(f"/c/{card.link_token}/login/code", code="")


def test_a_call_logs_in_too(house: House, browser: Browser) -> None:
    """Where codes are blocked."""
    ring(house, browser, house.past.card, PHONE)
    assert browser.is_in(house.past.card)


def test_a_call_from_another_phone_does_not(house: House, browser: Browser) -> None:
    """It proves the caller's own phone, which is not the card's."""
    assert ring(house, browser, house.past.card, OTHER_PHONE).status_code == 403
    assert not browser.is_in(house.past.card)
    assert house.logins() == []


def test_who_is_parted_again_logs_in_anew(house: House, browser: Browser) -> None:
    """Nobody knows which of the two it is at the browser."""
    other = house.member("Анна", OTHER_PHONE, "Соколова")
    card = house.past.card
    with house.database.write_tx() as session:
        people = [session.get_one(Person, each.person_id) for each in (card, other)]
        merger = merge(session, people[0], people[1], reason="x", actor=OPERATOR, now=house.now)
    browser.log_in(card)
    with house.database.write_tx() as session:
        found = session.get_one(type(merger), merger.id)
        undo(session, found, reason="x", actor=OPERATOR, now=house.now)
    assert not browser.is_in(card)
