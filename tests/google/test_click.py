"""From the click to the wallet with Google's emulator: its save page, its callback, its faults."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
import requests
from flask import Flask
from sqlmodel import select
from werkzeug.serving import make_server

from tests.google.desk import LEASE, Desk, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import HOUSE
from tests.google.test_saving import card, object_of, saver, worker
from tests.passes.shop import DIALECTS, TILL
from walletsvc.cards.models import Card
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import Unavailable
from walletsvc.google import breaker, callbacks
from walletsvc.google.dialect import GoogleDialect
from walletsvc.google.limiter import Limiter
from walletsvc.google.models import IssuerState
from walletsvc.google.root_keys import RootKeys
from walletsvc.google.sending.sender import GoogleSender
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import service as ledger
from walletsvc.passes.publish import Publisher
from walletsvc.settings import load
from walletsvc.storefront import blueprint
from walletsvc.web import i18n, problems
from walletsvc.web.context import Deps

PHONE = {"User-Agent": "Mozilla/5.0 (Linux; Android 12; SM-A125F) AppleWebKit/537.36"}


@dataclass
class Site:
    """An installation that Google can reach."""

    address: str
    publisher: Publisher
    sender: GoogleSender


@contextmanager
def site(desk: Desk) -> Iterator[Site]:
    """Serve the pages and the address for callbacks, with a sender that knows that address."""
    app = Flask("walletsvc")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    address = f"http://127.0.0.1:{server.server_port}"
    house = replace(HOUSE, base_url=address, emulated=True)
    dialect = GoogleDialect(house)
    settings = load(public_url=address, google_issuer_id=house.issuer_id)
    deps = Deps(settings, desk.database, lambda: desk.now)
    i18n.install(app, settings)
    problems.install(app)
    publisher = Publisher([*DIALECTS, dialect])
    made = saver(desk, dialect=dialect, publisher=publisher)
    app.register_blueprint(blueprint.create(deps, made))
    keys = RootKeys(desk.google.base_url, deps.clock)
    app.register_blueprint(callbacks.create(deps, keys))
    sender = GoogleSender(
        desk.database,
        desk.client(read_seconds=1.0),
        Limiter(desk.database, 100_000.0),
        house,
        clock=deps.clock,
        lease=LEASE,
        rng=random.Random(1),
    )
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield Site(address, publisher, sender)
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
        sender.close()


def buy(desk: Desk, publisher: Publisher, points: int) -> None:
    """The holder earns points, and what the card says is published."""
    row = object_of(desk)
    with desk.database.write_tx() as session:
        account = session.exec(select(Card)).one().account_id
        ledger.credit(session, account, points, source="x", actor=TILL, reason="x", now=desk.now)
        publisher.publish(session, [row.pass_id], lane=Lane.INTERACTIVE, now=desk.now)


def test_from_the_click_to_the_wallet_and_out_of_it(desk: Desk) -> None:
    """Google's page has the card, its callbacks are believed, and only a held card is told."""
    token = card(desk)
    with site(desk) as shop, requests.Session() as phone:
        with worker(desk, shop.sender):
            page = phone.get(f"{shop.address}/g/{token}", headers=PHONE, timeout=10)
        assert page.url.startswith(f"{desk.google.base_url}/gp/v/save/")
        assert "Карта гостя" in page.text
        assert not object_of(desk).has_users

        phone.post(page.url, data={"action": "add"}, timeout=10).raise_for_status()
        assert desk.google.callbacks.wait()
        assert object_of(desk).has_users
        buy(desk, shop.publisher, 50)
        assert shop.sender.drain()
        shown = desk.google.resource(object_of(desk).object_id)
        assert shown["loyaltyPoints"]["balance"]["int"] == 150
        assert len(desk.google.buzzes()) == 1

        phone.post(page.url, data={"action": "remove"}, timeout=10).raise_for_status()
        assert desk.google.callbacks.wait()
        assert not object_of(desk).has_users
        before = len(desk.google.log())
        buy(desk, shop.publisher, 50)
        shop.sender.drain()
        assert len(desk.google.log()) == before


def opens(desk: Desk, token: str) -> bool:
    """Whether the next click leads to Google's page at once. Links are dated by Google's clock,
    which the desk's has left behind."""
    link = saver(desk, patience=0, clock=utcnow).link(token)
    return requests.get(link, timeout=5).status_code == 200


@pytest.mark.parametrize("fault", ["429", "500", "503", "drop_before", "drop_after", "hang_after"])
def test_a_fault_at_google_costs_the_visitor_another_click(desk: Desk, fault: str) -> None:
    """The wish is carried out all the same, once, and the next click finds it done."""
    token = card(desk)
    desk.google.arm(fault, method="POST", resource="loyaltyObject", seconds=5.0)
    with worker(desk), pytest.raises(Unavailable):
        saver(desk, patience=0.4).link(token)
    desk.google.faults.clear()
    desk.settle(desk.sender())
    assert opens(desk, token)
    # What was applied without an answer is there already: the second try is told so and patches.
    taken = [
        entry["status"]
        for entry in desk.google.log()
        if entry["method"] == "POST" and "/loyaltyObject" in entry["path"]
    ]
    assert taken.count(200) == 1
    assert set(taken) <= {200, 409, 429, 500, 503}
    assert desk.google.buzzes() == []


def test_nobody_waits_for_what_the_operator_must_put_right(desk: Desk) -> None:
    """The service account was not invited: the issuer stops, says why, and deletes nothing."""
    token = card(desk)
    desk.google.arm("permissionDenied", count=100, resource="loyaltyObject")
    began = time.monotonic()
    with worker(desk):
        for _ in range(2):
            with pytest.raises(Unavailable):
                saver(desk, patience=10).link(token)
    assert time.monotonic() - began < 5
    with desk.database.read_tx() as session:
        [issuer] = breaker.status(session)
    assert issuer.state is IssuerState.STOPPED
    assert "as Developer" in issuer.reason
    desk.google.faults.clear()
    desk.settle(desk.sender())
    assert opens(desk, token)
