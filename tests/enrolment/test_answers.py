"""Customers write БАЛАНС, УСЛОВИЯ or СТОП, and get what they ask for, a few times."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlmodel import Session, col, select

from tests.factories import Shop, make_member, make_shop
from tests.messaging.making import add_gateway, agree
from walletsvc.cards.models import Card
from walletsvc.core.actor import SYSTEM
from walletsvc.enrolment import answers
from walletsvc.enrolment.answers import Word, understood
from walletsvc.jobs.events import MessageReceived
from walletsvc.ledger import service as ledger
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import Message
from walletsvc.passes.models import Pass
from walletsvc.people import phones
from walletsvc.people.consents.models import Consent, ConsentChannel, Way
from walletsvc.people.models import Person, PersonPhone
from walletsvc.programmes.service import create_discount_programme, create_stamps_programme
from walletsvc.storage.engine import Database

PHONE = "+79000001000"
URL = "https://cards.example.com"


@dataclass
class Talk:
    """A customer with a card, and the shop's number."""

    database: Database
    now: datetime
    shop: Shop

    def say(self, text: str, phone: str = PHONE, organisation_id: int | None = None) -> None:
        with self.database.write_tx() as session:
            event = MessageReceived(self.now, organisation_id, phone, text, 1)
            answers.message_received(session, event, base_url=URL)

    def answered(self) -> list[tuple[MessageKind, str]]:
        with self.database.read_tx() as session:
            found = session.exec(select(Message).order_by(col(Message.id))).all()
            return [(each.kind, json.loads(each.body or "")["sms"]["text"]) for each in found]


@pytest.fixture
def talk(database: Database, now: datetime) -> Talk:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        add_gateway(session, now)
        card, _ = proven_member(session, shop, now)
        credit(session, card.account_id, 123456, now)
    return Talk(database, now, shop)


def proven_member(
    session: Session, shop: Shop, now: datetime, name: str = "Анна"
) -> tuple[Card, Pass]:
    """Somebody who proved to hold the phone."""
    card, pass_ = make_member(session, shop, now, name, PHONE)
    phones.verify(session, session.get_one(Person, card.person_id), PHONE, now)
    return card, pass_


def credit(session: Session, account_id: int, points: int, now: datetime) -> None:
    ledger.credit(
        session, account_id, points, source="manual", actor=SYSTEM, reason="test", now=now
    )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("БАЛАНС", Word.BALANCE),
        ("баланс", Word.BALANCE),
        (" Баланс!!! ", Word.BALANCE),
        ("«баланс» пожалуйста", Word.BALANCE),
        ("balance", Word.BALANCE),
        ("УСЛОВИЯ", Word.TERMS),
        ("Terms.", Word.TERMS),
        ("СТОП", Word.STOP),
        ("Стоп, хватит", Word.STOP),
        ("STOP", Word.STOP),
        ("stop2", Word.STOP),
        ("привет", None),
        ("неустойка", None),
        ("", None),
        ("123", None),
        ("🙂", None),
    ],
)
def test_words_are_understood(text: str, word: Word | None) -> None:
    assert understood(text) is word


def test_the_balance(talk: Talk) -> None:
    talk.say("БАЛАНС")
    ((kind, text),) = talk.answered()
    assert kind is MessageKind.BALANCE
    assert text == "Лавка shop: Клуб 123 456"
    assert "Анна" not in text


def test_the_balance_of_a_phone_that_nobody_proved_is_not_told(talk: Talk) -> None:
    """Somebody typed this number to a person's data; whoever holds it may be a stranger. Not even
    with a card of somebody who did prove it."""
    with talk.database.write_tx() as session:
        session.exec(select(PersonPhone)).one().verified_at = None
    talk.say("БАЛАНС")
    assert [kind for kind, _ in talk.answered()] == [MessageKind.HELP]
    with talk.database.write_tx() as session:
        proven_member(session, talk.shop, talk.now, "Пётр")
    talk.say("БАЛАНС")
    assert talk.answered()[-1] == (MessageKind.BALANCE, "Лавка shop: Клуб 0")


def test_the_balance_in_english(talk: Talk) -> None:
    talk.say("balance")
    ((_, text),) = talk.answered()
    assert text == "Лавка shop: Клуб 123,456"


def test_all_cards_of_a_family_in_one_message(talk: Talk) -> None:
    """A discount counts nothing, and a shared balance is told once."""
    with talk.database.write_tx() as session:
        proven_member(session, talk.shop, talk.now, "Пётр")
        organisation = talk.shop.organisation.id
        stamps = create_stamps_programme(
            session, organisation_id=organisation, slug="coffee", name="Кофе", now=talk.now
        )
        create_discount_programme(
            session, organisation_id=organisation, slug="sale", name="Скидка", now=talk.now
        )
        assert stamps.id
    talk.say("баланс")
    ((_, text),) = talk.answered()
    assert text == "Лавка shop: Клуб 123 456; Клуб 0"


def test_the_terms(talk: Talk) -> None:
    talk.say("УСЛОВИЯ")
    ((kind, text),) = talk.answered()
    assert kind is MessageKind.TERMS
    assert f"{URL}/terms/shop" in text


def test_the_terms_for_somebody_without_a_card(talk: Talk) -> None:
    talk.say("УСЛОВИЯ", "+79000009999", talk.shop.organisation.id)
    ((_, text),) = talk.answered()
    assert f"{URL}/terms/shop" in text


def test_a_stranger_learns_nothing(talk: Talk) -> None:
    talk.say("БАЛАНС", "+79000009999", talk.shop.organisation.id)
    ((kind, _),) = talk.answered()
    assert kind is MessageKind.HELP
    talk.say("БАЛАНС", "+79000009998")  # a number of all organisations, and none knows the phone
    assert len(talk.answered()) == 1


def test_unknown_words_get_one_line_a_day(talk: Talk) -> None:
    for _ in range(5):
        talk.say("привет")
    assert [kind for kind, _ in talk.answered()] == [MessageKind.HELP]
    talk.now += timedelta(days=1)
    talk.say("hello")
    assert talk.answered()[1][1].endswith("send BALANCE, TERMS or STOP (no advertising)")


def test_answers_are_few(talk: Talk) -> None:
    for _ in range(30):
        talk.say("баланс")
    assert len(talk.answered()) == answers.ANSWERS.most
    talk.now += timedelta(hours=1)
    talk.say("баланс")
    assert len(talk.answered()) == answers.ANSWERS.most + 1


def advertising(talk: Talk) -> Sequence[Consent]:
    with talk.database.read_tx() as session:
        return session.exec(select(Consent)).all()


@pytest.mark.parametrize("word", ["СТОП", "stop"])
def test_stop_ends_advertising_by_sms_and_says_so(talk: Talk, word: str) -> None:
    with talk.database.write_tx() as session:
        person = session.exec(select(Person)).one()
        agree(session, talk.shop, person.id, ConsentChannel.SMS, talk.now)
    talk.say(word)
    (consent,) = advertising(talk)
    assert (consent.withdrawn_at, consent.withdrawn_way) == (talk.now, Way.SMS)
    assert [kind for kind, _ in talk.answered()] == [MessageKind.STOPPED]


def test_stop_is_obeyed_when_no_answer_is_left(talk: Talk) -> None:
    with talk.database.write_tx() as session:
        person = session.exec(select(Person)).one()
        agree(session, talk.shop, person.id, ConsentChannel.SMS, talk.now)
    for _ in range(answers.ANSWERS.most):
        talk.say("баланс")
    talk.say("СТОП")
    assert advertising(talk)[0].withdrawn_at == talk.now
    assert len(talk.answered()) == answers.ANSWERS.most


def test_another_organisations_number_tells_nothing_of_ours(talk: Talk) -> None:
    with talk.database.write_tx() as session:
        other = make_shop(session, talk.now, "other")
    talk.say("БАЛАНС", organisation_id=other.organisation.id)
    ((kind, text),) = talk.answered()
    assert kind is MessageKind.HELP
    assert text.startswith("Лавка other")


def test_a_number_of_all_answers_for_each(talk: Talk) -> None:
    with talk.database.write_tx() as session:
        other = make_shop(session, talk.now, "other")
        proven_member(session, other, talk.now)
    talk.say("БАЛАНС")
    assert [text for _, text in talk.answered()] == [
        "Лавка shop: Клуб 123 456",
        "Лавка other: Клуб 0",
    ]


def test_without_a_gateway_nothing_is_said_and_stop_is_obeyed(
    database: Database, now: datetime
) -> None:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        card, _ = make_member(session, shop, now, phone=PHONE)
        agree(session, shop, card.person_id, ConsentChannel.SMS, now)
    talk = Talk(database, now, shop)
    talk.say("СТОП")
    assert talk.answered() == []
    assert advertising(talk)[0].withdrawn_at == now
