"""Save links, what they refuse, and the signed callbacks of saving and removing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

from tests.emulators.google.client import Client, Json, accepted, refused, sign_jwt
from tests.emulators.google.receiver import Receiver, receiving, verify
from walletsvc.emulators.google import GoogleEmulator
from walletsvc.emulators.google.signing import Signer


@pytest.fixture
def receiver(shop: Client) -> Iterator[Receiver]:
    """The issuer's end of callbacks, named by the loyalty class."""
    with receiving() as receiver:
        change = {"callbackOptions": {"url": receiver.url}, "reviewStatus": "UNDER_REVIEW"}
        accepted(shop.patch(change, shop.class_id, "loyaltyClass"))
        yield receiver


def keys(client: Client) -> Json:
    """What the key server publishes."""
    answer = client.plain.get(f"{client.emulator.base_url}/gp/m/issuer/keys", timeout=10)
    assert "max-age" in answer.headers["Cache-Control"]
    body: Json = answer.json()
    return body


def page(client: Client, link: str, action: str | None = None) -> tuple[int, str]:
    """Open a save page, or press its button."""
    data = {"action": action}
    answer = client.plain.post(link, data, timeout=10) if action else client.plain.get(link)
    assert answer.headers["Content-Type"].startswith("text/html")
    return answer.status_code, answer.text


def test_a_link_adds_and_removes_a_card(shop: Client, receiver: Receiver) -> None:
    """The page shows the card; each button tells the issuer once, signed."""
    link = shop.link()
    assert len(link) < 1000
    status, text = page(shop, link)
    assert status == 200
    for shown in ("Бонусы", "Баллы: 1 250", "12.50 RUB", "Add</button>"):
        assert shown in text
    assert "Remove</button>" in page(shop, link, "add")[1]
    assert "Remove</button>" in page(shop, link, "add")[1]
    assert shop.call("GET", f"loyaltyObject/{shop.object_id}").json()["hasUsers"] is True
    assert "Add</button>" in page(shop, link, "remove")[1]
    assert shop.call("GET", f"loyaltyObject/{shop.object_id}").json()["hasUsers"] is False
    assert shop.emulator.callbacks.wait()
    published = keys(shop)
    save, removed = [verify(envelope, published, shop.issuer) for envelope in receiver.came]
    assert (save["eventType"], removed["eventType"]) == ("save", "del")
    assert save["objectId"] == shop.object_id
    assert save["classId"] == shop.class_id
    assert save["nonce"] != removed["nonce"]
    with pytest.raises(InvalidSignature):
        verify(receiver.came[0], published, "1")


def test_what_a_page_shows_is_escaped(shop: Client) -> None:
    """Names come from a shop's clerk."""
    accepted(shop.patch({"loyaltyPoints": {"label": "<script>alert(1)</script>"}}))
    assert "<script>" not in page(shop, shop.link())[1]


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "apple"},
        {"typ": "JWT"},
        {"iat": None},
        {"iat": int(time.time()) + 3600},
        {"exp": int(time.time()) - 10},
        {"origins": "https://shop.example"},
        {"origins": ["ftp://shop.example"]},
        {"iss": "stranger@example.com"},
        {"payload": []},
        {"payload": {"nonsense": []}},
        {"payload": {"loyaltyObjects": "x"}},
        {"payload": {"loyaltyClasses": [{"id": "1.x"}]}},
        {"payload": {"loyaltyObjects": [{"id": "3388000000000000001.nobody"}]}},
        {"payload": {"giftCardObjects": [{"id": "3388000000000000001.card-1"}]}},
        {"padding": "x" * 1800},
    ],
)
def test_bad_links_end_on_the_error_page(shop: Client, claims: Json) -> None:
    """One thing wrong is enough."""
    status, text = page(shop, shop.link(**claims))
    assert status == 400
    assert "cannot be added" in text


def test_links_that_another_key_signed(shop: Client) -> None:
    """Another account's key, another algorithm, a broken signature."""
    stranger = Client(shop.emulator, shop.emulator.account("3388000000000000002"))
    with stranger:
        forged = {**stranger.key, "client_email": shop.key["client_email"]}
        claims = {"iss": shop.key["client_email"], "aud": "google"}
        assert page(shop, shop.save_url(sign_jwt(forged, claims)))[0] == 400
        foreign = stranger.link({"loyaltyObjects": [{"id": shop.object_id}]})
        assert page(shop, foreign)[0] == 400
    good = shop.link()
    assert page(shop, good[:-6] + ("AAAAAA" if good[-6:] != "AAAAAA" else "BBBBBB"))[0] == 400
    none = sign_jwt(shop.key, {"iss": shop.key["client_email"]}, alg="none")
    assert page(shop, shop.save_url(none))[0] == 400
    assert page(shop, shop.save_url("not-a-jwt"))[0] == 400


def test_a_whole_link_makes_class_and_object(client: Client) -> None:
    """Everything in the JWT, inserted on the tap and not on the look."""
    small_class = {key: client.gift_class()[key] for key in ("id", "issuerName", "reviewStatus")}
    small = {key: client.gift_object()[key] for key in ("id", "classId", "state", "cardNumber")}
    link = client.link({"giftCardObjects": [small], "giftCardClasses": [small_class]})
    assert page(client, link)[0] == 200
    refused(client.call("GET", f"giftCardObject/{client.gift_id}"), 404, "resourceNotFound")
    assert page(client, link, "add")[0] == 200
    assert accepted(client.call("GET", f"giftCardObject/{client.gift_id}"))["hasUsers"] is True
    del small["cardNumber"]
    small["id"] += "-2"
    assert page(client, client.link({"giftCardObjects": [small]}))[0] == 400


def test_jwt_insert_and_validate(client: Client) -> None:
    """A long JWT by REST gives a short link; a dry run changes nothing."""
    payload = {
        "loyaltyClasses": [client.loyalty_class()],
        "loyaltyObjects": [client.loyalty_object()],
    }
    token = client.link(payload).rpartition("/")[2]
    assert len(token) > 1800
    assert accepted(client.call("POST", "jwt/validate", {"jwtResource": {"jwt": token}})) == {}
    refused(client.call("GET", f"loyaltyClass/{client.class_id}"), 404, "classNotFound")
    answer = accepted(client.call("POST", "jwt", {"jwt": token}))
    assert answer["resources"]["loyaltyObjects"][0]["id"] == client.object_id
    assert page(client, answer["saveUri"], "add")[0] == 200
    assert client.emulator.resource(client.object_id)["hasUsers"] is True
    bad = {"jwtResource": {"jwt": client.link(payload, aud="x").rpartition("/")[2]}}
    refused(client.call("POST", "jwt/validate", bad), 400, "invalidResource")


def test_a_card_of_one_user_is_not_given_to_another(shop: Client) -> None:
    """Stored value is not to be shared."""
    change = {
        "multipleDevicesAndHoldersAllowedStatus": "ONE_USER_ALL_DEVICES",
        "reviewStatus": "UNDER_REVIEW",
    }
    accepted(shop.patch(change, shop.gift_class_id, "giftCardClass"))
    shop.control("POST", "save", {"objectId": shop.gift_id, "user": "Anna"})
    answer = shop.plain.post(
        f"{shop.emulator.base_url}/_/save",
        json={"objectId": shop.gift_id, "user": "Boris"},
        timeout=10,
    )
    assert answer.status_code == 422
    assert "another user" in answer.json()["error"]


def test_a_callback_comes_again_until_it_is_taken(shop: Client, receiver: Receiver) -> None:
    """The same message, so that a nonce tells a repetition."""
    receiver.answers[:] = [500, 503]
    shop.emulator.save(shop.object_id)
    assert shop.emulator.callbacks.wait()
    assert len(receiver.came) == 3
    assert len({message["nonce"] for message in receiver.messages()}) == 1
    [entry] = shop.control("GET", "callbacks")
    assert (entry["tries"], entry["status"], entry["done"]) == (3, 200, True)


def test_faulty_callbacks(shop: Client, receiver: Receiver) -> None:
    """Each is wrong in the one way that it says, and no other."""
    published = keys(shop)

    def saved(fault: str, user: str) -> list[Json]:
        receiver.came.clear()
        shop.control("POST", "faults", {"fault": fault})
        shop.control("POST", "save", {"objectId": shop.object_id, "user": user})
        assert shop.emulator.callbacks.wait()
        return list(receiver.came)

    first, second = saved("callback_duplicate", "a")
    assert first == second
    [stale] = saved("callback_stale", "b")
    with pytest.raises(AssertionError, match="stale"):
        verify(stale, published, shop.issuer)
    [forged] = saved("callback_bad_signature", "c")
    with pytest.raises(InvalidSignature):
        verify(forged, published, shop.issuer)
    [foreign] = saved("callback_wrong_issuer", "d")
    assert verify(foreign, published, "1")["objectId"] == shop.object_id
    with pytest.raises(InvalidSignature):
        verify(foreign, published, shop.issuer)
    assert saved("callback_lost", "e") == []


SIGNER = Signer()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_signatures_count_bytes(text: str) -> None:
    """Lengths are those of UTF-8, not of characters."""
    message = {"objectId": text, "expTimeMillis": int(time.time() * 1000) + 60_000}
    raw = json.dumps(message, ensure_ascii=False)
    envelope: dict[str, Any] = SIGNER.envelope("3388", raw)
    assert verify(envelope, SIGNER.published(), "3388") == message


def test_keys_outlive_a_restart(tmp_path: Any) -> None:
    """Root keys are cached by issuers for days; so is what was saved."""
    with GoogleEmulator(folder=tmp_path) as first:
        account = first.account()
        with Client(first, account) as client:
            client.insert("loyaltyClass", client.loyalty_class())
            client.insert("loyaltyObject", client.loyalty_object())
            first.save(client.object_id, callback=False)
        published = first.signer.published()["keys"][0]["keyValue"]
    with GoogleEmulator(folder=tmp_path) as second:
        assert second.signer.published()["keys"][0]["keyValue"] == published
        assert second.resource(client.object_id)["hasUsers"] is True
        assert second.notifications_left(client.object_id) == 3
