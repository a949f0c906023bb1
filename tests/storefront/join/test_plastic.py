"""A plastic card that comes along when its holder joins."""

from __future__ import annotations

import pytest

from tests.storefront.join.visitor import Desk, Visitor
from walletsvc.cards.models import Card
from walletsvc.cards.plastic.service import add as add_number
from walletsvc.core.actor import OPERATOR
from walletsvc.enrolment.service import enrol
from walletsvc.ledger import service as ledger


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
