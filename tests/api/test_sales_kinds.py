"""Stamp cards and discount cards as a till meets them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.sales.test_kinds import DISCOUNT, STAMPS
from walletsvc.cards.service import issue_card
from walletsvc.people.service import find_or_create_person
from walletsvc.programmes.service import create_discount_programme, create_stamps_programme

CREATE = {"stamps": create_stamps_programme, "discount": create_discount_programme}


def rub(amount: int) -> dict[str, Any]:
    """Kopecks."""
    return {"amount": amount, "currency": "RUB"}


COFFEE = {"item": "latte", "group": "coffee", "quantity": "3", "price": rub(25_000)}
CAKE = {"item": "bun", "price": rub(9_999)}


@pytest.fixture
def member(api: Api, request: pytest.FixtureRequest) -> dict[str, Any]:
    """A member of a programme of this kind, whose rules came in over HTTP."""
    kind = request.param
    owner = api.shop.organisation.id
    with api.database.write_tx() as session:
        programme = CREATE[kind](
            session, organisation_id=owner, slug="kind", name="Клуб", now=api.now
        )
        person = find_or_create_person(
            session, organisation_id=owner, phone="+79001112233", first_name="Анна", now=api.now
        )
        card = issue_card(session, person=person, programme=programme, now=api.now)
    rules = {"stamps": STAMPS, "discount": DISCOUNT}[kind]
    draft = api.call("PUT", "/programmes/kind/rules/draft", json={"rules": rules})
    assert draft.status_code == 200, draft.text
    published = api.call(
        "POST", "/programmes/kind/rules/publish", environ_overrides={"CONTENT_LENGTH": "0"}
    )
    assert published.status_code == 200, published.text
    return {"id": card.public_id, "number": card.number}


def send(api: Api, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    """A call that has to succeed."""
    answer = api.call("POST", path, json=body, headers={"Idempotency-Key": key})
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.get_json())


@pytest.mark.parametrize("member", ["stamps"], indirect=True)
def test_a_stamp_card_at_the_till(api: Api, member: dict[str, Any]) -> None:
    """Filled by two purchases, scanned, used, returned."""
    sale = {"card_id": member["id"], "lines": [COFFEE, CAKE]}
    for number in range(2):
        made = send(api, "/purchases", {**sale, "external_id": str(number)}, f"p{number}")
        assert (made["stamps"], made["earned"]) == (3, 0)
    assert made["receipt"]["stamps"] == {"stamps": 0, "needed": 6, "rewards": 1}
    assert "Наград к получению" in made["receipt"]["text"]
    scanned = send(api, "/scans", {"text": member["number"]}, "s")
    assert (scanned["available"], scanned["stamps"]["rewards"]) == (6, 1)
    quoted = send(api, "/quotes", sale, "q")
    assert (quoted["most_points"], quoted["discount"]["amount"]) == (6, 0)
    used = send(api, "/purchases", {**sale, "points": 6, "external_id": "9"}, "p9")
    assert [line["discount"]["amount"] for line in used["lines"]] == [25_000, 0]
    assert (used["money"]["amount"], used["stamps"], used["points"]) == (59_999, 2, 6)
    assert {"code": "reward", "text": "«Шестой кофе» за 6 штампов (latte): −250,00\xa0₽"} in used[
        "explanation"
    ]
    back = send(api, f"/purchases/{used['id']}/refunds", {"external_id": "R", "reason": "x"}, "r")
    assert (back["money"]["amount"], back["points"], back["taken_back"]) == (59_999, 6, 2)
    assert back["balance"] == 6


@pytest.mark.parametrize("member", ["discount"], indirect=True)
def test_a_discount_card_at_the_till(api: Api, member: dict[str, Any]) -> None:
    """Each line says its discount to the kopeck, three of one item too; a line comes back."""
    lines = [CAKE, *[{"item": "cup", "price": rub(3_333)}] * 3]
    sale = {"card_id": member["id"], "lines": lines}
    quoted = send(api, "/quotes", sale, "q")
    made = send(api, "/purchases", {**sale, "external_id": "1"}, "p")
    for answer in (quoted, made):
        assert [line["discount"]["amount"] for line in answer["lines"]] == [300, 100, 100, 100]
        assert (answer["discount"]["amount"], answer["earned"]) == (600, 0)
    assert made["money"]["amount"] == 19_398
    assert "балл" not in made["receipt"]["text"].lower()
    body = {"external_id": "R", "reason": "x", "lines": [{"item": "bun", "quantity": "1"}]}
    back = send(api, f"/purchases/{made['id']}/refunds", body, "r")
    assert (back["money"]["amount"], back["points"]) == (9_699, 0)
