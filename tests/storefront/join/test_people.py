"""Joining with a phone that is known: who is it?"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from sqlmodel import select

from tests.passes.shop import member
from tests.storefront.join.visitor import Desk, Visitor
from walletsvc.cards.models import Card


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
