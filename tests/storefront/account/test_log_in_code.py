"""The code that logs in: wrong phones, wrong codes, a call."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlmodel import select
from werkzeug.test import TestResponse

from tests.messaging.making import add_gateway
from tests.storefront.account.house import OTHER_PHONE, PHONE, Browser, House
from walletsvc.cards.models import Card
from walletsvc.jobs.events import CallReceived
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.models import Gateway
from walletsvc.messaging.proving.models import PhoneProof, Route
from walletsvc.messaging.proving.ways import call_received


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
