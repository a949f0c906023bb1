"""What was bought with a card and paid with a certificate, for whoever issued it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.certificates.shop import gift_programme
from walletsvc.access.rules import Scope
from walletsvc.merchants.acceptance import accept


def money(amount: int) -> dict[str, Any]:
    """As the interface writes it."""
    return {"amount": amount, "currency": "RUB"}


@pytest.fixture
def gift(api: Api) -> str:
    """A certificate of a thousand roubles that the other shop accepts too, as cards."""
    with api.database.write_tx() as session:
        gift_programme(session, api.shop.organisation.id, api.now)
        ours, theirs = api.shop.organisation, api.other.organisation
        accept(session, ours, theirs, points=True, certificates=True, now=api.now)
    answer = api.call(
        "POST",
        "/certificates",
        json={"programme": "gift", "amount": 100_000},
        headers={"Idempotency-Key": "gift"},
    )
    return str(answer.get_json()["certificate"]["id"])


@pytest.fixture
def sold(api: Api, card: str, gift: str) -> list[str]:
    """Three purchases, the second at the partner; the first and second partly by certificate."""
    theirs = api.key(shop=api.other)
    ids = []
    for number, (secret, paid) in enumerate(((None, 10_000), (theirs, 5_000), (None, 0))):
        body: dict[str, Any] = {
            "source": "pos",
            "external_id": str(number),
            "card_id": card,
            "total": money(20_000),
        }
        if paid:
            body["certificates"] = [{"certificate_id": gift, "amount": money(paid)}]
        answer = api.call(
            "POST", "/purchases", json=body, headers={"Idempotency-Key": f"p{number}"},
            secret=secret,
        )  # fmt: skip
        assert answer.status_code == 201, answer.text
        ids.append(answer.get_json()["id"])
    return ids


def test_a_card_tells_where_it_bought(api: Api, card: str, sold: list[str]) -> None:
    """Also at the partner; by cursor; a partner does not read it."""
    path = f"/cards/{card}/purchases"
    first = api.call("GET", f"{path}?limit=2").get_json()
    rest = api.call("GET", f"{path}?limit=2&cursor={first['next_cursor']}").get_json()
    found = [*first["items"], *rest["items"]]
    assert [each["id"] for each in found] == sold[::-1]
    assert [each["organisation"] for each in found] == ["shop", "other", "shop"]
    assert rest["next_cursor"] is None
    assert found[0] == api.call("GET", "/purchases").get_json()["items"][0] | {
        "organisation": "shop"
    }
    assert api.call("GET", path, secret=api.key(shop=api.other)).status_code == 404


def test_a_certificate_tells_what_it_paid(api: Api, gift: str, sold: list[str]) -> None:
    """Its part of each purchase; a partner that accepts it does not read it."""
    path = f"/certificates/{gift}/purchases"
    first = api.call("GET", f"{path}?limit=1").get_json()
    rest = api.call("GET", f"{path}?cursor={first['next_cursor']}").get_json()
    found = [*first["items"], *rest["items"]]
    assert [(each["id"], each["paid"]["amount"], each["organisation"]) for each in found] == [
        (sold[1], 5_000, "other"),
        (sold[0], 10_000, "shop"),
    ]
    assert api.call("GET", path, secret=api.key(shop=api.other)).status_code == 404


def test_what_is_no_cursor_or_no_right_is_refused(
    api: Api, card: str, gift: str, sold: list[str]
) -> None:
    """A purchase of another list is no cursor; reading takes the scope of sales."""
    wrong = [
        (f"/cards/{card}/purchases", "0" * 20),
        (f"/cards/{card}/purchases", "x"),
        (f"/certificates/{gift}/purchases", sold[2]),
    ]
    for path, cursor in wrong:
        answer = api.call("GET", f"{path}?cursor={cursor}")
        assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (400, "cursor")
        without = api.key(Scope.RULES_READ)
        assert api.call("GET", path, secret=without).status_code == 403
