"""Issuing cards and reading them."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest
from sqlmodel import select

from tests.factories import TILL, make_member, make_shop
from walletsvc.cards import queries
from walletsvc.cards.models import Card
from walletsvc.cards.service import issue_card
from walletsvc.core.errors import DuplicateMember, Refused
from walletsvc.ledger.models import Account, AccountKind
from walletsvc.ledger.service import credit
from walletsvc.people.models import Person
from walletsvc.programmes.service import create_gift_programme
from walletsvc.storage.engine import Database


def test_a_second_card_of_a_programme_is_refused_and_names_the_first(
    database: Database, now: datetime
) -> None:
    """Person × programme is unique; no account is left over."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        card, _ = make_member(session, shop, now)
    with pytest.raises(DuplicateMember) as caught, database.write_tx() as session:
        person = session.get_one(Person, card.person_id)
        issue_card(session, person=person, programme=shop.programme, now=now)
    assert caught.value.data == {"card_id": card.public_id}
    with database.read_tx() as session:
        holders = select(Account).where(Account.kind == AccountKind.CUSTOMER)
        assert len(session.exec(holders).all()) == 1


def test_two_issues_at_once_make_one_card(database: Database, now: datetime) -> None:
    """Whatever way in they come by: the second finds the first."""
    with database.write_tx() as session:
        first, second = make_shop(session, now), make_shop(session, now, "two")
        card, _ = make_member(session, first, now)
    barrier = threading.Barrier(6)
    outcomes: list[str] = []

    def issue() -> None:
        barrier.wait(10)
        try:
            with database.write_tx() as session:
                person = session.get_one(Person, card.person_id)
                made = issue_card(session, person=person, programme=second.programme, now=now)
            outcomes.append(made.public_id)
        except DuplicateMember as error:
            outcomes.append(error.data["card_id"])

    threads = [threading.Thread(target=issue) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(outcomes), len(set(outcomes))) == (6, 1)


def test_a_person_may_have_cards_of_two_programmes(database: Database, now: datetime) -> None:
    """Each with a number, an address and an account of its own."""
    with database.write_tx() as session:
        first, second = make_shop(session, now), make_shop(session, now, "two")
        card, _ = make_member(session, first, now)
        person = session.get_one(Person, card.person_id)
        other = issue_card(session, person=person, programme=second.programme, now=now)
        assert card.number != other.number
        assert card.account_id != other.account_id
        assert card.link_hash != other.link_hash


def test_closed_and_gift_programmes_issue_no_cards(database: Database, now: datetime) -> None:
    """The reason is told."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        card, _ = make_member(session, shop, now)
        person = session.get_one(Person, card.person_id)
        gift = create_gift_programme(
            session, organisation_id=shop.organisation.id, slug="gift", name="G", now=now
        )
        with pytest.raises(Refused, match="certificates"):
            issue_card(session, person=person, programme=gift, now=now)
        shop.programme.closed_at = now
        with pytest.raises(Refused, match="closed"):
            issue_card(session, person=person, programme=shop.programme, now=now)


def test_the_view_shows_the_balance_of_the_moment(database: Database, now: datetime) -> None:
    """Even within the transaction that changed it; another organisation sees nothing."""
    with database.write_tx() as session:
        shop, other = make_shop(session, now), make_shop(session, now, "other")
        card, _ = make_member(session, shop, now)
        own = shop.organisation.id
        before = queries.find(session, own, card.public_id)
        assert before is not None
        assert before.account.balance == 0
        credit(session, card.account_id, 40, source="t", actor=TILL, reason="t", now=now)
        after = queries.find(session, own, card.public_id)
        assert after is not None
        assert (after.account.balance, after.person.first_name) == (40, "Анна")
        assert queries.find(session, other.organisation.id, card.public_id) is None


def test_the_page_token_is_not_readable_in_the_database(database: Database, now: datetime) -> None:
    """Stored encrypted, found by its hash."""
    with database.write_tx() as session:
        card, _ = make_member(session, make_shop(session, now), now)
        token = card.link_token
    with database.engine.connect() as connection:
        stored = connection.exec_driver_sql("SELECT link_token FROM cards").scalar_one()
    assert token not in stored
    with database.read_tx() as session:
        assert session.exec(select(Card.link_token)).one() == token
