"""The page of the code: wrong, late, once more, by a call."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import select

from tests.messaging.making import add_gateway
from tests.storefront.join.visitor import Desk, Visitor
from walletsvc.cards.models import Card
from walletsvc.jobs.events import CallReceived
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.proving.models import PhoneProof, Route
from walletsvc.messaging.proving.ways import call_received


def test_a_wrong_code_is_told_and_tries_end(visitor: Visitor) -> None:
    """How many are left, and that a new one helps; then even the right one is none."""
    visitor.open()
    visitor.send()
    wrong = "000000" if visitor.codes()[-1] != "000000" else "000001"
    assert visitor.type_code(wrong).status_code == 400
    assert "4 more times" in visitor.page
    for typed in ("", "abc", "1" * 64, "٣٣٣٣٣٣", "000002" if wrong == "000001" else "000001"):
        visitor.type_code(typed)
    visitor.type_code()
    assert visitor.address == "/join/guest/code"
    assert "last try" in visitor.page
    assert visitor.count(Card) == 0


def test_a_new_code_after_a_minute(desk: Desk, visitor: Visitor) -> None:
    """Sooner nothing is sent, and the page says when."""
    visitor.open()
    visitor.send()
    visitor.post("/join/guest/again", route="sms")
    assert "in 60 seconds" in visitor.page
    assert len(visitor.codes()) == 1
    desk.now += timedelta(seconds=61)
    visitor.post("/join/guest/again", route="sms")
    assert len(visitor.codes()) == 2
    visitor.type_code()
    assert visitor.address.startswith("/c/")


def test_a_code_expires(desk: Desk, visitor: Visitor) -> None:
    """And the page offers a new one."""
    visitor.open()
    visitor.send()
    desk.now += timedelta(minutes=11)
    visitor.type_code()
    assert "The code has expired" in visitor.page
    visitor.post("/join/guest/again", route="sms")
    visitor.type_code()
    assert visitor.address.startswith("/c/")


def test_a_form_ends(desk: Desk, visitor: Visitor) -> None:
    """After its hour it leads back to a new one."""
    visitor.open()
    visitor.send()
    desk.now += timedelta(hours=2)
    visitor.get("/join/guest/code")
    assert "This form has expired" in visitor.page
    assert 'href="/join/guest"' in visitor.page


def test_too_many_tries_are_told_with_the_time(desk: Desk, visitor: Visitor) -> None:
    """Who pumps messages is stopped, and what was typed stays."""
    for _ in range(10):
        visitor.open()
        answer = visitor.send()
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert len(visitor.codes()) < 10
    assert "Too many tries" in visitor.page
    assert 'value="Анна"' in visitor.page


def test_confirming_by_a_call(desk: Desk, visitor: Visitor) -> None:
    """The second way: the number to call, then a page that notices, then the card."""
    with desk.database.write_tx() as session:
        add_gateway(session, desk.now, Channel.CALL)
    visitor.open()
    visitor.send()
    assert "Confirm by a call instead" in visitor.page
    visitor.post("/join/guest/again", route="call")
    assert "Call to confirm" in visitor.page
    assert 'http-equiv="refresh"' in visitor.page
    assert "I have called" not in visitor.page  # there is no number yet
    visitor.post("/join/guest/code", code="")
    assert "no call yet" in visitor.page
    with desk.database.write_tx() as session:
        proof = session.exec(select(PhoneProof).where(PhoneProof.route == Route.CALL)).one()
        proof.reference = "+78005550001"
        session.add(proof)
    visitor.get("/join/guest/code")
    assert 'href="tel:+78005550001"' in visitor.page
    assert "+7 800 555-00-01" in visitor.page
    assert "I have called" in visitor.page
    with desk.database.write_tx() as session:
        event = CallReceived(
            at=desk.now, organisation_id=None, phone="+79001234567", external_id=""
        )
        call_received(session, event)
    visitor.get("/join/guest/code")
    assert "Number confirmed" in visitor.page
    visitor.post("/join/guest/code", code="")
    assert visitor.address.startswith("/c/")
