"""How long a log-in lasts, and what ends it."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import col, select

from tests.storefront.account.house import OTHER_PHONE, Browser, House
from walletsvc.core.actor import OPERATOR
from walletsvc.enrolment.merging.service import merge, undo
from walletsvc.enrolment.personal.erasing import erase
from walletsvc.people.models import Person, PersonPhone
from walletsvc.people.sessions import service as sessions


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
