"""The click on "Add to Google Wallet", with Google's emulator and a sender at work."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import requests
from pydantic import SecretStr
from sqlmodel import select

from tests.google.desk import Desk, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import GOOGLE, HOUSE, PUBLISHER
from tests.passes.shop import TILL, certificate, member
from walletsvc.cards.models import Card
from walletsvc.core.errors import NotFound, Refused, TooManyTries, Unavailable
from walletsvc.google import breaker
from walletsvc.google.client import credentials
from walletsvc.google.links import MOST_CHARACTERS, save_link
from walletsvc.google.models import GoogleObject, Kind
from walletsvc.google.saving import Saver
from walletsvc.google.sending.sender import GoogleSender
from walletsvc.ledger import service as ledger
from walletsvc.passes.models import Pass
from walletsvc.settings import Settings


def saver(desk: Desk, **changes: Any) -> Saver:
    settings = Settings(
        google_issuer_id=HOUSE.issuer_id, google_key=SecretStr(json.dumps(desk.key))
    )
    made = Saver(
        database=desk.database,
        publisher=PUBLISHER,
        dialect=GOOGLE,
        credentials=credentials(settings),
        pay_url=desk.google.base_url,
        clock=lambda: desk.now,
    )
    return replace(made, **changes)


@contextmanager
def worker(desk: Desk, sender: GoogleSender | None = None) -> Iterator[None]:
    """A sender that looks for work all the time."""
    sender, stop = sender or desk.sender(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            if not sender.drain():
                stop.wait(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def card(desk: Desk, points: int = 100) -> str:
    """A new card's page token; nobody has asked for it yet."""
    with desk.database.write_tx() as session:
        return member(session, desk.shop, desk.now, points=points).link_token


def asked(desk: Desk, method: str, kind: str = "loyaltyObject") -> int:
    """How often Google was asked so."""
    return sum(
        entry["method"] == method and f"/{kind}" in entry["path"] for entry in desk.google.log()
    )


def claims(link: str) -> dict[str, Any]:
    part = link.rpartition("/")[2].split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def object_of(desk: Desk) -> GoogleObject:
    with desk.database.read_tx() as session:
        return session.exec(select(GoogleObject)).one()


def test_the_object_is_there_when_the_visitor_comes(desk: Desk) -> None:
    """Inserted on the click, not before; the link names it by its id, and nothing of the person."""
    token = card(desk)
    assert asked(desk, "POST") == 0
    with worker(desk):
        link = saver(desk).link(token)
    row = object_of(desk)
    assert desk.google.resource(row.object_id)["loyaltyPoints"]["balance"]["int"] == 100
    page = requests.get(link, timeout=5)
    assert page.status_code == 200
    assert "Карта гостя" in page.text
    said = claims(link)
    [named] = said["payload"]["loyaltyObjects"]
    assert named.keys() == {"id", "classId"}
    assert named["id"] == row.object_id
    assert said["origins"] == [HOUSE.base_url]
    assert len(link.rpartition("/")[2]) < MOST_CHARACTERS


def test_a_gift_certificate_as_well(desk: Desk) -> None:
    """Its code is on the card, not in the link."""
    with desk.database.write_tx() as session:
        gift = certificate(session, desk.shop, desk.now)
        token, code = gift.link_token, gift.code
    with worker(desk):
        link = saver(desk).link(token)
    assert claims(link)["payload"].keys() == {"giftCardObjects"}
    assert code.replace("-", "") not in json.dumps(claims(link)).replace("-", "")
    assert requests.get(link, timeout=5).status_code == 200


def test_clicks_at_once_insert_once(desk: Desk) -> None:
    """Two tabs, a double click, a family."""
    token = card(desk)
    with worker(desk), ThreadPoolExecutor(6) as pool:
        links = list(pool.map(saver(desk).link, [token] * 6))
    assert {claims(link)["payload"]["loyaltyObjects"][0]["id"] for link in links} == {
        object_of(desk).object_id
    }
    assert asked(desk, "POST", "loyaltyObject") == 1
    with desk.database.read_tx() as session:
        assert len(session.exec(select(Pass).where(Pass.wallet == "google")).all()) == 1


def test_a_later_click_brings_the_object_up_to_date(desk: Desk) -> None:
    """The visitor left Google's page and comes back after a purchase; nothing is announced."""
    token = card(desk)
    with worker(desk):
        saver(desk).link(token)
        with desk.database.write_tx() as session:
            account = session.exec(select(Card)).one().account_id
            ledger.credit(session, account, 50, source="x", actor=TILL, reason="x", now=desk.now)
        saver(desk).link(token)
        assert (
            desk.google.resource(object_of(desk).object_id)["loyaltyPoints"]["balance"]["int"]
            == 150
        )
        before = len(desk.google.log())
        saver(desk).link(token)  # as it is: Google is not asked again
    assert len(desk.google.log()) == before
    assert desk.google.buzzes() == []


def test_what_google_has_already_is_patched(desk: Desk) -> None:
    """The database was restored from before the insertion."""
    token = card(desk)
    with worker(desk):
        saver(desk).link(token)
        desk.execute("UPDATE google_objects SET inserted_at = NULL, sent_revision = 0")
        assert saver(desk).link(token)
    assert asked(desk, "PATCH") == 1


def test_without_an_answer_the_visitor_is_told_soon_and_the_wish_stays(desk: Desk) -> None:
    """Google or the worker is down: trying again helps, and finds it done."""
    token = card(desk)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        saver(desk, patience=0.1).link(token)
    assert time.monotonic() - began < 2
    desk.settle(desk.sender())
    assert desk.google.resource(object_of(desk).object_id)
    assert saver(desk, patience=0.1).link(token)


def test_a_paused_issuer_is_not_waited_for(desk: Desk) -> None:
    """The operator has stopped it."""
    token = card(desk)
    with pytest.raises(Unavailable):
        saver(desk, patience=0).link(token)  # makes the issuer's row
    with desk.database.write_tx() as session:
        breaker.pause(session, HOUSE.issuer_id, actor=TILL, now=desk.now)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        saver(desk, patience=30).link(token)
    assert time.monotonic() - began < 5


def test_no_card_no_link(desk: Desk) -> None:
    """An unknown token, a closed card, and somebody who clicks on and on."""
    with pytest.raises(NotFound):
        saver(desk).link("x" * 32)
    closed, busy = card(desk), None
    desk.execute("UPDATE cards SET closed_at = :now")
    with pytest.raises(Refused):
        saver(desk).link(closed)
    assert asked(desk, "POST") == 0
    desk.execute("UPDATE cards SET closed_at = NULL")
    with worker(desk):
        for _ in range(11):
            busy = saver(desk).link(closed)
        with pytest.raises(TooManyTries):
            saver(desk).link(closed)
    assert busy


def test_the_longest_ids_fit_into_a_link(desk: Desk) -> None:
    """Google takes 1,800 characters; what is longer is said before it is sent."""
    made = saver(desk)

    def link(kind: Kind, length: int) -> str:
        return save_link(
            made.credentials,
            pay_url=made.pay_url,
            origin="https://" + "a" * 60 + ".example",
            kind=kind,
            object_id="3388000000022000000." + "o" * length,
            class_id="3388000000022000000." + "c" * 79,
            now=desk.now,
        )

    for kind in Kind:
        assert len(link(kind, 119)) < MOST_CHARACTERS
    with pytest.raises(ValueError, match="too long"):
        link(Kind.LOYALTY, 900)
