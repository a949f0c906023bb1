"""A message is written down with its words, its channels and its price, or not at all."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from sqlmodel import Session, select

from tests.factories import Shop, make_member, make_shop
from tests.messaging.making import add_gateway, agree
from walletsvc.messaging.kinds import Channel, MessageKind
from walletsvc.messaging.models import Message, MessageState
from walletsvc.messaging.outbox import Recipient, enqueue
from walletsvc.people.consents.models import ConsentChannel, Way
from walletsvc.people.models import Person
from walletsvc.people.phones import verify
from walletsvc.storage.engine import Database

PHONE = "+79000001234"


def write(
    session: Session, shop: Shop, now: datetime, kind: MessageKind, to: Recipient, /, **values: str
) -> Message | None:
    return enqueue(
        session,
        organisation_id=shop.organisation.id,
        kind=kind,
        to=to,
        values=values,
        language="ru",
        now=now,
    )


def test_nobody_to_carry_it_is_no_message(database: Database, now: datetime) -> None:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        to = Recipient(PHONE)
        assert write(session, shop, now, MessageKind.CODE, to, code="123456") is None
        add_gateway(session, now, closed_at=now)
        assert write(session, shop, now, MessageKind.CODE, to, code="123456") is None


def test_the_price_is_counted_before_sending(database: Database, now: datetime) -> None:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        add_gateway(session, now)
        text = "Ж" * 71
        message = write(
            session, shop, now, MessageKind.BALANCE, Recipient(PHONE), shop="", balances=text
        )
    assert message is not None
    assert (message.segments, message.price, message.currency) == (2, 700, "RUB")
    assert message.state is MessageState.QUEUED


def test_words_that_say_whom_to_call_have_the_shops_phone(
    database: Database, now: datetime
) -> None:
    """Where it has one; a fresh one has none yet."""
    ends = {None: "Не вы? Свяжитесь с нами.", "+78125550142": "Не вы? Тел. +78125550142"}
    for phone, end in ends.items():
        with database.write_tx() as session:
            shop = make_shop(session, now, slug=f"shop-{len(phone or '')}")
            shop.organisation.phone = phone
            add_gateway(session, now)
            session.flush()
            message = write(session, shop, now, MessageKind.PHONE_CHANGED, Recipient(PHONE))
        assert message is not None
        assert json.loads(message.body or "")["sms"]["text"].endswith(end)


def test_an_address_is_encrypted_at_rest(database: Database, now: datetime) -> None:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        add_gateway(session, now)
        write(session, shop, now, MessageKind.CODE, Recipient(PHONE), code="123456")
    with database.read_tx() as session:
        row = session.connection().exec_driver_sql("SELECT * FROM messages").one()
        assert PHONE[1:] not in str(row)
        assert "123456" not in str(row)


def test_channels_are_those_that_can_be_used(database: Database, now: datetime) -> None:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        add_gateway(session, now)
        both = Recipient(PHONE, "anna@example.com")
        message = write(session, shop, now, MessageKind.CARD_LINK, both, link="https://x")
        assert message is not None
        assert message.channels == ["sms"]
        add_gateway(session, now, Channel.EMAIL)
        message = write(session, shop, now, MessageKind.CARD_LINK, both, link="https://x")
        assert message is not None
        assert message.channels == ["sms", "email"]
        message = write(
            session, shop, now, MessageKind.CODE, Recipient(email="a@example.com"), code="1"
        )
        assert message is None  # a code by e-mail would prove another thing


def test_advertising_wants_the_consent_for_the_channel(database: Database, now: datetime) -> None:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        card, _ = make_member(session, shop, now)
        add_gateway(session, now)
        add_gateway(session, now, Channel.EMAIL)

        def news() -> Message | None:
            return enqueue(
                session,
                organisation_id=shop.organisation.id,
                kind=MessageKind.NEWS,
                to=Recipient(PHONE, "anna@example.com"),
                values={"text": "Скидки"},
                language="ru",
                now=now,
                person_id=card.person_id,
            )

        assert news() is None
        consent = agree(session, shop, card.person_id, ConsentChannel.SMS, now)
        assert news() is None  # the consent is the person's, the phone is nobody's yet
        verify(session, session.get_one(Person, card.person_id), PHONE, now)
        message = news()
        assert message is not None
        assert message.channels == ["sms"]
        consent.withdrawn_at, consent.withdrawn_way = now, Way.SMS
        session.flush()
        assert news() is None


def test_an_organisations_own_gateway_goes_first(database: Database, now: datetime) -> None:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        add_gateway(session, now, position=0)
        add_gateway(
            session,
            now,
            position=5,
            organisation_id=shop.organisation.id,
            config=json.dumps({"price_per_segment": 200}),
        )
        other = make_shop(session, now, "other")
        own = write(session, shop, now, MessageKind.TERMS, Recipient(PHONE), link="x")
        others = write(session, other, now, MessageKind.TERMS, Recipient(PHONE), link="x")
    assert own is not None
    assert own.price == 200
    assert others is not None
    assert others.price == 350


def test_a_value_is_never_read_as_a_template(database: Database, now: datetime) -> None:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        add_gateway(session, now)
        write(session, shop, now, MessageKind.TERMS, Recipient(PHONE), shop="{link}", link="x")
        message = session.exec(select(Message)).one()
        assert message.body is not None
        assert json.loads(message.body)["sms"]["text"].startswith("{link}: ")


def test_a_value_that_is_wanted_and_missing_is_a_bug(database: Database, now: datetime) -> None:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        add_gateway(session, now)
        with pytest.raises(KeyError):
            write(session, shop, now, MessageKind.CODE, Recipient(PHONE))


def test_what_rolls_back_sends_nothing(database: Database, now: datetime) -> None:
    def fail() -> None:
        with database.write_tx() as session:
            shop = make_shop(session, now)
            add_gateway(session, now)
            write(session, shop, now, MessageKind.CODE, Recipient(PHONE), code="1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.read_tx() as session:
        assert session.exec(select(Message)).all() == []
