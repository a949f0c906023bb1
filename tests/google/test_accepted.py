"""Both kinds of card, taken by the emulator: inserted, changed, void."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session

from tests.emulators.google.client import Client, accepted
from tests.google.shop import HOUSE, PUBLISHER, wanted
from tests.passes.shop import TILL, certificate, member, open_shop
from walletsvc.emulators.google import GoogleEmulator
from walletsvc.google.wanted import WantedObject, classes, objects
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import service as ledger
from walletsvc.storage.engine import Database


@pytest.fixture
def client() -> Iterator[Client]:
    """An account of the issuer at an emulator of its own."""
    with (
        GoogleEmulator() as emulator,
        Client(emulator, emulator.account(HOUSE.issuer_id), HOUSE.issuer_id) as client,
    ):
        yield client


def send_classes(client: Client, session: Session, now: datetime, method: str) -> None:
    """All classes, as the sender does at first (POST) and afterwards (PATCH)."""
    for each in classes(session, HOUSE, now):
        path = f"{each.kind}Class"
        if method == "PATCH":
            path = f"{path}/{each.class_id}"
        accepted(client.call(method, path, each.body))


def publish(session: Session, found: WantedObject, now: datetime) -> WantedObject:
    PUBLISHER.publish(session, [found.pass_id], lane=Lane.INTERACTIVE, now=now)
    return objects(session, [found.pass_id], HOUSE)[found.pass_id]


def patch(client: Client, found: WantedObject, **more: Any) -> Any:
    body = {**found.patch(), **more}
    accepted(client.patch(body, found.object_id, f"{found.kind}Object"))
    return client.emulator.resource(found.object_id)


def test_a_loyalty_card_lives_at_google(client: Client, database: Database, now: datetime) -> None:
    """Its points are announced once, and what went is gone."""
    with database.write_tx() as session:
        card = member(session, open_shop(session, now), now, points=100)
        send_classes(client, session, now, "POST")
        first = wanted(session, card, now)
        client.insert("loyaltyObject", first.body)
        client.emulator.save(first.object_id, callback=False)
        kept = client.emulator.resource(first.object_id)
        assert kept["loyaltyPoints"]["balance"] == {"int": 100}
        assert "secondaryLoyaltyPoints" not in kept
        ledger.credit(session, card.account_id, 5, source="x", actor=TILL, reason="x", now=now)
        second = publish(session, first, now + timedelta(minutes=1))
        assert second.buzzes(first.values)
        kept = patch(client, second, notifyPreference="NOTIFY_ON_UPDATE")
        assert kept["loyaltyPoints"]["balance"] == {"int": 105}
        assert len(client.emulator.buzzes()) == 1
        card.closed_at = now
        session.flush()
        kept = patch(client, publish(session, second, now + timedelta(minutes=2)))
        assert kept["state"].lower() == "inactive"


def test_a_gift_card_lives_at_google(client: Client, database: Database, now: datetime) -> None:
    """Its balance is told by a message; when it is spent, closed and expired it says so."""
    end = now + timedelta(days=1)
    with database.write_tx() as session:
        gift = certificate(session, open_shop(session, now), now, expires_at=end)
        send_classes(client, session, now, "POST")
        first = wanted(session, gift, now)
        client.insert("giftCardObject", first.body)
        client.emulator.save(first.object_id, callback=False)
        ledger.debit(session, gift.account_id, 135050, actor=TILL, reason="x", now=now)
        second = publish(session, first, now + timedelta(minutes=1))
        assert not second.buzzes(first.values)
        kept = patch(client, second)
        assert kept["balance"]["micros"] == "3649500000"
        assert client.emulator.buzzes() == []
        message = {**(second.message(first.values) or {}), "id": "m1", "messageType": "TEXT"}
        path = f"giftCardObject/{second.object_id}/addMessage"
        accepted(client.call("POST", path, {"message": message}))
        gift.expired_at = end
        session.flush()
        kept = patch(client, publish(session, second, end))
        assert kept["state"].lower() == "expired"
        assert [each["id"] for each in kept["messages"]] == ["m1"]


def test_a_class_is_reviewed_and_changed(client: Client, database: Database, now: datetime) -> None:
    """Google approves it; the next change asks for a review again and never sends APPROVED."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        send_classes(client, session, now, "POST")
        found = classes(session, HOUSE, now)[0]
        assert client.emulator.resource(found.class_id)["reviewStatus"].lower() == "approved"
        shop.organisation.name, shop.organisation.phone = "Южный берег", None
        session.flush()
        send_classes(client, session, now, "PATCH")
        kept = client.emulator.resource(found.class_id)
    assert kept["issuerName"] == "Южный берег"
    assert kept["linksModuleData"]["uris"][-1]["uri"] == f"{HOUSE.base_url}/terms/guest"
    assert [uri["id"] for uri in kept["linksModuleData"]["uris"]] == ["site", "terms_page"]
    assert "countryCode" not in kept
    assert kept["reviewStatus"].lower() == "approved"
