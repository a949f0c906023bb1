"""What buzzes, and the three notifications that a pass has in 24 hours."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.emulators.google.client import Client, Json, accepted, refused

NOTIFY = "NOTIFY_ON_UPDATE"


def points(client: Client, value: str, **more: Any) -> requests.Response:
    """Change the balance with a notification."""
    balance = {"loyaltyPoints": {"balance": {"string": value}}}
    return client.patch({**balance, "notifyPreference": NOTIFY, **more})


def kinds(client: Client) -> list[str]:
    """What buzzed, by kind."""
    return [entry["kind"] for entry in client.control("GET", "buzzes")]


@pytest.fixture
def held(shop: Client) -> Client:
    """Both cards in a wallet."""
    shop.emulator.save(shop.object_id, callback=False)
    shop.emulator.save(shop.gift_id, callback=False)
    return shop


def test_both_kinds_share_three_in_a_day(held: Client) -> None:
    """The fourth is refused and not applied; after a day the first is forgotten."""
    path = f"loyaltyObject/{held.object_id}"
    accepted(points(held, "1"))
    held.control("POST", "clock", {"advance_seconds": 3600})
    accepted(held.message(path, "m1"))
    accepted(points(held, "2"))
    refused(points(held, "3"), 403, "quotaExceeded")
    refused(held.message(path, "m2"), 403, "quotaExceeded")
    kept = held.emulator.resource(held.object_id)
    assert kept["loyaltyPoints"]["balance"] == {"string": "2"}
    assert [message["id"] for message in kept["messages"]] == ["m1"]
    accepted(held.message(path, "m2", "TEXT"))
    accepted(held.patch({"loyaltyPoints": {"balance": {"string": "3"}}}))
    assert kinds(held) == ["UPDATE", "MESSAGE", "UPDATE"]
    held.control("POST", "clock", {"advance_seconds": 23 * 3600 - 60})
    refused(points(held, "4"), 403, "quotaExceeded")
    held.control("POST", "clock", {"advance_seconds": 120})
    accepted(points(held, "4"))
    refused(points(held, "5"), 403, "quotaExceeded")


def test_the_log_says_what_was_shown(held: Client) -> None:
    """Object, kind and value, so that a test counts what a customer feels."""
    accepted(points(held, "42"))
    accepted(held.message(f"giftCardObject/{held.gift_id}", "m1"))
    update, message = held.control("GET", "buzzes")
    assert update["objectId"] == held.object_id
    assert update["fields"] == {"loyaltyPoints.balance": {"string": "42"}}
    assert (message["objectId"], message["messageId"]) == (held.gift_id, "m1")
    assert (message["header"], message["text"]) == ("Привет", "Новое")
    assert held.control("GET", "buzzes", after=update["seq"]) == [message]
    assert held.control("GET", "buzzes", objectId=held.object_id) == [update]


def test_repetitions_buzz_again(held: Client) -> None:
    """An equal value, and a message that was there: neither is safe to send twice."""
    accepted(points(held, "7"))
    accepted(points(held, "7"))
    assert kinds(held) == ["UPDATE", "UPDATE"]
    path = f"giftCardObject/{held.gift_id}"
    for _ in range(2):
        accepted(held.message(path, "same"))
    kept = held.emulator.resource(held.gift_id)["messages"]
    assert [message["id"] for message in kept] == ["same", "same"]
    again = {"messages": [{k: v for k, v in kept[0].items() if k != "kind"}]}
    accepted(held.patch(again, held.gift_id, "giftCardObject"))
    assert kinds(held)[2:] == ["MESSAGE"] * 3


@pytest.mark.parametrize(
    ("collection", "change"),
    [
        ("loyaltyObject", {"accountName": "Anna"}),
        ("loyaltyObject", {"loyaltyPoints": {"label": "Stars"}}),
        ("loyaltyObject", {"textModulesData": []}),
        ("giftCardObject", {"balance": {"micros": "1", "currencyCode": "RUB"}}),
    ],
)
def test_what_never_buzzes(held: Client, collection: str, change: Json) -> None:
    """Fields that Google does not list, and every field of a gift card."""
    object_id = held.object_id if collection == "loyaltyObject" else held.gift_id
    for _ in range(4):
        answer = held.patch({**change, "notifyPreference": NOTIFY}, object_id, collection)
        assert "notifyPreference" not in accepted(answer)
    assert kinds(held) == []
    assert held.emulator.notifications_left(object_id) == 3


def test_nobody_holds_it(shop: Client) -> None:
    """A pass in no wallet buzzes nowhere and spends nothing."""
    for number in range(4):
        accepted(points(shop, str(number)))
        accepted(shop.message(f"loyaltyObject/{shop.object_id}", f"m{number}"))
    assert kinds(shop) == []
    assert shop.emulator.notifications_left(shop.object_id) == 3


def test_one_request_that_asks_for_two(held: Client) -> None:
    """A change and a message in it: two, or none at all."""
    message = {"id": "m", "header": "h", "body": "b", "messageType": "TEXT_AND_NOTIFY"}
    accepted(points(held, "1"))
    accepted(points(held, "2"))
    refused(points(held, "3", messages=[message]), 403, "quotaExceeded")
    assert kinds(held) == ["UPDATE", "UPDATE"]


def test_a_message_to_a_class_spends_everybodys(held: Client) -> None:
    """Every holder's, and of nobody else; a holder without an allowance is passed over."""
    second = held.loyalty_object(id=f"{held.issuer}.card-2")
    third = held.loyalty_object(id=f"{held.issuer}.card-3")
    held.insert("loyaltyObject", second)
    held.insert("loyaltyObject", third)
    held.emulator.save(second["id"], callback=False)
    for number in range(3):
        accepted(points(held, str(number)))
    path = f"loyaltyClass/{held.class_id}"
    for number in range(3):
        accepted(held.message(path, f"m{number}"))
    refused(held.message(path, "m3"), 403, "quotaExceeded")
    assert held.emulator.notifications_left(second["id"]) == 0
    assert held.emulator.notifications_left(third["id"]) == 3
    told = [entry for entry in held.emulator.buzzes() if entry["kind"] == "CLASS_MESSAGE"]
    assert [entry["objectId"] for entry in told] == [held.object_id, second["id"]] * 3
    assert [bool(entry.get("suppressed")) for entry in told] == [True, False] * 3
    change = {"rewardsTier": "Gold", "notifyPreference": NOTIFY, "reviewStatus": "UNDER_REVIEW"}
    refused(held.patch(change, held.class_id, "loyaltyClass"), 403, "quotaExceeded")
    held.control("POST", "clock", {"advance_seconds": 86_400})
    accepted(held.patch(change, held.class_id, "loyaltyClass"))
    assert kinds(held)[-2:] == ["CLASS_UPDATE"] * 2


def test_an_eleventh_message(shop: Client) -> None:
    """Ten are kept; to make room, a PATCH names those that stay."""
    path = f"loyaltyObject/{shop.object_id}"
    for number in range(10):
        accepted(shop.message(path, f"m{number}", "TEXT"))
    refused(shop.message(path, "m10", "TEXT"), 400, "invalidResource")
    kept = accepted(shop.call("GET", path))["messages"][1:]
    accepted(shop.patch({"messages": kept}))
    accepted(shop.message(path, "m10", "TEXT"))
    for bad in ({}, {"message": {"header": "h"}}, {"message": {"nonsense": 1}}):
        assert shop.call("POST", f"{path}/addMessage", bad).status_code == 400
