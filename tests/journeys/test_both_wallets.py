"""One customer, a card and a gift in both wallets: real HTTP, real workers, both emulators.

Balances follow on both, each change is announced once on each, Google's allowance of a day is
kept, and whoever took the card out of Google Wallet is left in peace.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text

from tests.factories import TILL
from tests.journeys import plant as plants
from tests.journeys.plant import Plant
from tests.passes.shop import plain, product_template
from walletsvc.access.rules import SCOPES
from walletsvc.access.service import create_key
from walletsvc.core.clock import utcnow
from walletsvc.emulators.android import AndroidPhone
from walletsvc.emulators.phone import Phone, Pushes
from walletsvc.merchants.service import create_branch
from walletsvc.passes import templates
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.service import create_gift_programme
from walletsvc.storage.engine import Database

PATIENCE = 60.0
BOOK = {"earn": {"percent": "10"}}
ROUBLES = {"currency": "RUB"}


@dataclass
class Customer:
    """With an iPhone and an Android phone; `told` counts what the latter announced, by object."""

    plant: Plant
    key: str
    iphone: Phone
    android: AndroidPhone
    told: Counter[str] = field(default_factory=Counter)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the till asks for, and is given."""
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Idempotency-Key": secrets.token_hex(8),
        }
        url = f"{self.plant.installation.settings.base_url}/api/v1{path}"
        answer = requests.post(url, json=body, headers=headers, timeout=30)
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def take(self, links: dict[str, Any]) -> str:
        """Add what is there to both phones; the object's id."""
        assert links["google_url"]
        self.iphone.add(links["apple_url"])
        object_id = self.android.add(links["page_url"]).object_id
        until(lambda: held(self.plant, object_id))
        return object_id

    def sees(self, object_id: str, places: tuple[str, str], expected: float, told: int) -> None:
        """Both phones come to show it; by then Android has announced so many changes of it."""
        ours, googles = places
        update = self.iphone.wait_for_update(PATIENCE)
        assert update.after.values[ours] == expected
        assert len(update.messages) == 1
        until(lambda: self._shown(object_id, googles) == expected and self.told[object_id] >= told)
        assert self.told[object_id] == told

    def _shown(self, object_id: str, line: str) -> Any:
        for seen in self.android.look(0.2):
            self.told[seen.card.object_id] += len(seen.announced)
        return self.android.cards[object_id].lines[line].value


POINTS = ("points", "loyaltyPoints")
MONEY = ("left", "balance")


@pytest.fixture(name="customer")
def customer_fixture(
    database: Database, tmp_path: Path, signing_folder: Path
) -> Iterator[Customer]:
    """Nobody has a card yet; everything is at work."""
    (tmp_path / "certs").symlink_to(signing_folder)
    with plants.running(database, tmp_path, google=True) as plant:
        for part in ("publish", "send", "google"):
            plant.start(part)
        key = _furnish(plant)
        plant.await_workers()
        with (
            Pushes(plant.control) as pushes,
            Phone(pushes) as iphone,
            AndroidPhone() as android,
        ):
            yield Customer(plant, key, iphone, android)


def _furnish(plant: Plant) -> str:
    """Rules, a gift programme with the product's template, and a till's key."""
    now = utcnow()
    shop = plant.shop
    with plant.database.write_tx() as session:
        versions.save_draft(session, shop.programme, RuleBook.model_validate(BOOK), TILL, "", now)
        versions.publish(session, shop.programme, TILL, now)
        gift = create_gift_programme(
            session, organisation_id=shop.organisation.id, slug="gift", name="Подарок", now=now
        )
        templates.publish(
            session,
            programme_id=gift.id,
            pass_type_id=shop.pass_type.id,
            template=plain(product_template("gift")),
            dialects=plant.installation.publisher.dialects,
            now=now,
        )
        branch = create_branch(
            session, organisation_id=shop.organisation.id, name="Первая", address="", now=now
        )
        _, key = create_key(
            session,
            organisation_id=shop.organisation.id,
            name="till",
            scopes=sorted(SCOPES),
            branch_id=branch.id,
            now=now,
        )
    return key


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


def held(plant: Plant, object_id: str) -> bool:
    """Whether the product knows that the object is in a wallet."""
    with plant.database.read_tx() as session:
        query = text("SELECT has_users FROM google_objects WHERE object_id = :id")
        return bool(session.execute(query, {"id": object_id}).scalar_one())


def idle(plant: Plant) -> bool:
    """Whether nothing waits for anybody."""
    query = text(
        "SELECT (SELECT count(*) FROM changes) + (SELECT count(*) FROM pushes)"
        " + (SELECT count(*) FROM google_objects WHERE due_at IS NOT NULL)"
        " + (SELECT count(*) FROM google_messages WHERE state = 'due')"
    )
    with plant.database.read_tx() as session:
        return not session.execute(query).scalar_one()


def google(plant: Plant, what: str) -> list[dict[str, Any]]:
    """What the emulator of Google Wallet was asked (`log`), or what buzzed (`buzzes`)."""
    url = f"{plant.installation.settings.google_url}/_/{what}"
    found: list[dict[str, Any]] = requests.get(url, timeout=10).json()
    return found


def patches(plant: Plant, object_id: str) -> int:
    """How often Google was given a change of this object."""
    return sum(
        entry["method"] == "PATCH" and entry["path"].endswith(object_id)
        for entry in google(plant, "log")
    )


def test_the_same_card_in_both_wallets(customer: Customer) -> None:
    """From joining to taking the card out of one of them."""
    plant = customer.plant
    person = {"programme": "shop", "first_name": "Анна", "phone": "+79001234567"}
    member = customer.post("/members", person)
    card_id = member["card"]["id"]
    card = customer.take(member)

    bill = {
        "source": "till",
        "external_id": "1",
        "card_id": card_id,
        "total": {"amount": 50_000, **ROUBLES},
    }
    assert customer.post("/purchases", bill)["earned"] == 50
    customer.sees(card, POINTS, 50, told=1)

    issued = customer.post("/certificates", {"programme": "gift", "amount": 300_000})
    gift = customer.take(issued["certificate"]["links"])
    path = f"/certificates/{issued['certificate']['id']}/redemptions"
    customer.post(path, {"amount": 84_050, "reason": "Receipt 2"})
    customer.sees(gift, MONEY, 2159.5, told=1)

    # Google announces three changes of a card in a day; Apple, all of them.
    adjust = f"/cards/{card_id}/adjustments"
    for number, told in ((1, 2), (2, 3), (3, 3), (4, 3)):
        customer.post(adjust, {"amount": 10, "reason": "More"})
        customer.sees(card, POINTS, 50 + 10 * number, told)
    until(lambda: idle(plant))
    assert Counter(buzz["objectId"] for buzz in google(plant, "buzzes")) == {card: 3, gift: 1}
    assert (patches(plant, card), patches(plant, gift)) == (5, 1)
    assert customer.iphone.pushes_received == 6
    assert customer.iphone.complaints == []

    customer.android.remove(card)
    until(lambda: not held(plant, card))
    customer.post(adjust, {"amount": 10, "reason": "More"})
    assert customer.iphone.wait_for_update(PATIENCE).after.values["points"] == 100
    until(lambda: idle(plant))
    assert patches(plant, card) == 5
    # The gift is still there, and follows.
    customer.post(path, {"amount": 15_950, "reason": "Receipt 3"})
    customer.sees(gift, MONEY, 2000.0, told=2)
