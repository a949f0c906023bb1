"""The push emulator, over real TLS and HTTP/2, with clients that share nothing with it."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from tests.contracts.apns_client import Client, Emulator, new_token
from tests.contracts.chains import Chain
from tests.contracts.conftest import TOPIC

OTHER_TOPIC = "pass.com.example.gift"


# Answers


def test_a_push_is_accepted_and_logged(emulator: Emulator, client: Client) -> None:
    """A Wallet push gets 200 with its own id and an empty body, and stands in the log."""
    token, apns_id = new_token(), str(uuid.uuid4())
    headers = {
        "apns-topic": TOPIC,
        "apns-push-type": "background",
        "apns-priority": "5",
        "apns-expiration": "0",
        "apns-id": apns_id,
        "apns-collapse-id": "x" * 64,
        "authorization": "bearer secret",
    }
    answer = client.push(token, headers)
    assert (answer.status, answer.body, answer.headers["apns-id"]) == (200, b"", apns_id)
    (entry,) = emulator.log(token)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(entry.pop("at"))).seconds < 60
    assert entry.pop("seq") > 0
    del headers["authorization"]
    assert entry.pop("connection") >= 1
    assert entry == {
        "token": token,
        "topic": TOPIC,
        "status": 200,
        "reason": None,
        "apns_id": apns_id,
        "headers": headers,
        "payload": {},
        "fault": None,
        "certificate": TOPIC,
        "method": "POST",
        "path": f"/3/device/{token}",
    }


def test_an_id_is_made_when_none_is_given(client: Client) -> None:
    """Without apns-id the answer carries a new one, another for each push."""
    given = {client.push(new_token()).headers["apns-id"] for _ in range(2)}
    assert len({uuid.UUID(text) for text in given}) == 2


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"apns-id": "17"}, "BadMessageId"),
        ({"apns-id": uuid.uuid4().hex}, "BadMessageId"),
        ({"apns-expiration": "soon"}, "BadExpirationDate"),
        ({"apns-expiration": "-1"}, "BadExpirationDate"),
        ({"apns-priority": "11"}, "BadPriority"),
        ({"apns-priority": "high"}, "BadPriority"),
        ({"apns-push-type": "wallet"}, "InvalidPushType"),
        ({"apns-push-type": "background", "apns-priority": "10"}, "BadPriority"),
        ({"apns-push-type": "background"}, "BadPriority"),
        ({"apns-push-type": "background", "apns-priority": "5"}, None),
        ({"apns-collapse-id": "x" * 65}, "BadCollapseId"),
        ({"apns-collapse-id": "ж" * 32}, None),
        ({"apns-collapse-id": "ж" * 33}, "BadCollapseId"),
        ({"apns-topic": ""}, "MissingTopic"),
        ({"apns-topic": "not a topic"}, "BadTopic"),
        ({"apns-topic": OTHER_TOPIC}, "TopicDisallowed"),
        ([("apns-priority", "5"), ("apns-priority", "5")], "DuplicateHeaders"),
        ({}, None),
    ],
)
def test_headers_are_checked(client: Client, headers: Any, reason: str | None) -> None:
    """Each header that Apple checks is refused with Apple's reason."""
    answer = client.push(new_token(), headers)
    assert (answer.status, answer.reason) == (400 if reason else 200, reason)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "MissingDeviceToken"),
        ("ab" * 31, "BadDeviceToken"),
        ("ab" * 32, None),
        ("AB" * 32, None),
        ("ab" * 32 + "a", "BadDeviceToken"),
        ("ab" * 100, None),
        ("ab" * 101, "BadDeviceToken"),
        ("zz" * 32, "BadDeviceToken"),
        ("ab" * 32 + "/x", "BadDeviceToken"),
    ],
)
def test_the_token_is_checked(client: Client, token: str, reason: str | None) -> None:
    """A token is 32 to 100 bytes in hex."""
    assert client.push(token).reason == reason


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "PayloadEmpty"),
        (b"{", 400, "PayloadEmpty"),
        (b"[]", 400, "PayloadEmpty"),
        (b'{"a":"' + b"x" * 4088 + b'"}', 200, None),
        (b'{"a":"' + b"x" * 4089 + b'"}', 413, "PayloadTooLarge"),
        (b"x" * 16_000, 413, "PayloadTooLarge"),
    ],
)
def test_the_payload_is_checked(
    client: Client, body: bytes, status: int, reason: str | None
) -> None:
    """A payload is a JSON object of at most 4096 bytes."""
    answer = client.push(new_token(), body=body)
    assert (answer.status, answer.reason) == (status, reason)


def test_only_posts_to_a_device_are_pushes(client: Client) -> None:
    """Another method is 405, another path 404;"""
    wrong = client.answer(client.open(f"/3/device/{new_token()}", body=b"", method="GET"))
    assert (wrong.status, wrong.reason) == (405, "MethodNotAllowed")
    lost = client.answer(client.open("/4/device/x"))
    assert (lost.status, lost.reason) == (404, "BadPath")


# Devices


def test_a_minted_token_is_bound_to_its_topic(
    emulator: Emulator, apple_chain: Chain, client: Client
) -> None:
    """A device token minted for one topic is refused for another; without a topic it is not."""
    bound = emulator.control("POST", "/_/devices", {"topic": OTHER_TOPIC}, 201)["token"]
    free = emulator.control("POST", "/_/devices", {}, 201)["token"]
    assert len(bound) == 64
    assert client.push(bound).reason == "DeviceTokenNotForTopic"
    assert client.push(free).reason is None
    with Client(emulator, apple_chain.issue(OTHER_TOPIC)) as other:
        assert other.push(bound.upper()).reason is None


def test_an_unregistered_device_is_gone(emulator: Emulator, client: Client) -> None:
    """After unregistering the answer is 410 with the time in milliseconds; minted or not."""
    for token in (
        emulator.control("POST", "/_/devices", {"topic": TOPIC}, 201)["token"],
        "cd" * 40,
    ):
        assert client.push(token).status == 200
        before = int(time.time() * 1000)
        said = emulator.control("POST", f"/_/devices/{token}/unregister")["timestamp"]
        answer = client.push(token)
        assert (answer.status, answer.reason) == (410, "Unregistered")
        assert orjson.loads(answer.body)["timestamp"] == said
        assert before <= said <= int(time.time() * 1000)
        emulator.control("POST", f"/_/devices/{token}/unregister", {"timestamp": 1234})
        assert orjson.loads(client.push(token).body)["timestamp"] == 1234
