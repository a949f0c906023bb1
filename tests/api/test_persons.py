"""Persons over HTTP: merging, parting, telling everything, erasing; and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.api.conftest import Api
from walletsvc.access.rules import Scope


def send(api: Api, path: str, body: dict[str, Any], **options: Any) -> TestResponse:
    """A POST with a key of its own."""
    api.keys += 1
    headers = {"Idempotency-Key": options.pop("key", f"key-{api.keys}")}
    return api.call("POST", path, json=body, headers=headers, **options)


@pytest.fixture
def twice(api: Api) -> list[dict[str, Any]]:
    """Anna with 100 points and Anya with 40."""
    found = [api.member(), api.member(first_name="Аня", phone="+79001234568")]
    for member, points in zip(found, (100, 40), strict=True):
        api.adjust(member["card"]["id"], points)
    return found


def balance(api: Api, member: dict[str, Any]) -> int:
    return int(api.call("GET", f"/cards/{member['card']['id']}").get_json()["balance"])


def test_merging_and_parting(api: Api, twice: list[dict[str, Any]]) -> None:
    """A dry run first; the same key again makes one merger; the history tells both."""
    kept, merged = (each["person"]["id"] for each in twice)
    path, body = f"/persons/{kept}/merges", {"person": merged, "reason": "Дважды"}
    before = api.rows()
    tried = send(api, f"{path}?dry_run=true", body)
    assert (tried.status_code, tried.get_json()["id"], api.rows()) == (201, None, before)
    made = send(api, path, body, key="once")
    assert made.status_code == 201, made.text
    assert send(api, path, body, key="once").get_json() == made.get_json()
    told = made.get_json()
    assert [(each["card"]["id"], each["brought"]) for each in told["joined"]] == [
        (twice[1]["card"]["id"], 40)
    ]
    assert balance(api, twice[0]) == 140
    undo = f"/person-merges/{told['id']}/undo"
    parted = send(api, undo, {"reason": "Мать и дочь"})
    assert parted.status_code == 200, parted.text
    assert (parted.get_json()["exact"], parted.get_json()["joined"][0]["given_back"]) == (True, 40)
    assert [balance(api, each) for each in twice] == [100, 40]
    listed = api.call("GET", path).get_json()["items"]
    assert [(each["id"], each["undone_reason"]) for each in listed] == [(told["id"], "Мать и дочь")]
    assert send(api, undo, {"reason": "x"}).status_code == 409


def test_a_shortfall_is_named(api: Api, twice: list[dict[str, Any]]) -> None:
    """And accepted only when that is said."""
    kept, merged = (each["person"]["id"] for each in twice)
    made = send(api, f"/persons/{kept}/merges", {"person": merged, "reason": "x"}).get_json()
    api.adjust(twice[0]["card"]["id"], -120)
    undo = f"/person-merges/{made['id']}/undo"
    refused = send(api, undo, {"reason": "x"})
    assert (refused.status_code, refused.get_json()["missing"]) == (422, 20)
    parted = send(api, undo, {"reason": "x", "accept_shortfall": True}).get_json()
    assert (parted["exact"], parted["joined"][0]["given_back"]) == (False, 20)


def test_telling_and_erasing(api: Api, twice: list[dict[str, Any]]) -> None:
    """Points are in the way until they are forfeited; what is told afterwards names nobody."""
    person = twice[0]["person"]["id"]
    told = api.call("GET", f"/persons/{person}/export").get_json()
    assert told["data"]["phones"][0]["e164"] == "+79001234567"
    path = f"/persons/{person}/erasure"
    refused = send(api, path, {"reason": "x"})
    assert (refused.status_code, list(refused.get_json()["points"].values())) == (422, [100])
    tried = send(api, f"{path}?dry_run=true", {"reason": "x", "forfeit": True}).get_json()
    assert (tried["id"], tried["forfeited"][0]["amount"]) == (None, 100)
    assert balance(api, twice[0]) == 100
    gone = send(api, path, {"reason": "x", "forfeit": True}, key="once")
    assert gone.status_code == 200, gone.text
    assert send(api, path, {"reason": "x", "forfeit": True}, key="once").text == gone.text
    card = api.call("GET", f"/cards/{twice[0]['card']['id']}").get_json()
    assert (card["balance"], card["holder"]["first_name"]) == (0, "")
    assert card["closed_at"] is not None
    assert "79001234567" not in api.call("GET", f"/persons/{person}/export").text
    again = api.member()
    assert again["person"]["id"] != person


def test_only_the_own_persons_and_only_with_the_scope(
    api: Api, twice: list[dict[str, Any]]
) -> None:
    """Another shop sees nobody here; a till may do nothing of this."""
    kept, merged = (each["person"]["id"] for each in twice)
    stranger = api.key(shop=api.other)
    till = api.key(Scope.MEMBERS_WRITE)
    body = {"person": merged, "reason": "x"}
    made = send(api, f"/persons/{kept}/merges", body).get_json()
    calls: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", f"/persons/{kept}/merges", body),
        ("GET", f"/persons/{kept}/merges", None),
        ("POST", f"/person-merges/{made['id']}/undo", {"reason": "x"}),
        ("GET", f"/persons/{kept}/export", None),
        ("POST", f"/persons/{kept}/erasure", {"reason": "x", "forfeit": True}),
        ("POST", f"/persons/{kept}/phone-changes", {"phone": "+79001234560", "reason": "x"}),
        ("GET", f"/persons/{kept}/phone-changes", None),
    ]
    for method, path, sent in calls:
        more: dict[str, Any] = {} if sent is None else {"json": sent}
        headers = {"Idempotency-Key": path}
        assert api.call(method, path, secret=till, headers=headers, **more).status_code == 403
        assert api.call(method, path, secret=stranger, headers=headers, **more).status_code == 404
    foreign = send(api, f"/persons/{kept}/merges", {"person": "x", "reason": "x"})
    assert foreign.get_json()["errors"][0]["field"] == "person"


def test_another_phone(api: Api, twice: list[dict[str, Any]]) -> None:
    """A dry run first, once per key, with the employee; of phones only the ends are told."""
    person = twice[0]["person"]["id"]
    employee = api.call("POST", "/staff", json={"name": "Ольга"}).get_json()["id"]
    path = f"/persons/{person}/phone-changes"
    body = {
        "former": "8 900 123-45-67", "phone": "8 900 765-65-43", "reason": "SIM потеряна",
        "employee": employee,
    }  # fmt: skip
    tried = send(api, f"{path}?dry_run=true", body)
    assert (tried.status_code, tried.get_json()["id"]) == (201, None)
    assert api.call("GET", path).get_json() == {"items": []}
    made = send(api, path, body, key="once")
    assert made.status_code == 201, made.text
    assert send(api, path, body, key="once").get_json() == made.get_json()
    told = made.get_json()
    assert (told["former"], told["phone"]) == ("+7 ••• ••• 45 67", "+7 ••• ••• 65 43")
    assert (told["employee"], told["proven"], told["reason"]) == (employee, False, "SIM потеряна")
    assert api.call("GET", path).get_json() == {"items": [told]}
    taken = send(api, path, body | {"former": "+79007656543", "phone": "+79001234568"})
    assert (taken.status_code, taken.get_json()["people"]) == (409, [twice[1]["person"]["id"]])
    unproven = send(api, path, body | {"phone": "+79007656544", "proof": "8q2w4e6r0t1y3v5x7z9b"})
    assert unproven.get_json()["code"] == "phone_not_proven"
