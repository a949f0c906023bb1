"""Tokens, methods, partial answers, lists and batches, as clients of Google use them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from typing import Any

import pytest
import requests
from google.auth.exceptions import RefreshError

from tests.emulators.google.client import SCOPE, Client, Json, accepted, refused, sign_jwt
from walletsvc.emulators.google import GoogleEmulator


@pytest.fixture
def stranger(emulator: GoogleEmulator, private_key: str) -> Iterator[Client]:
    """An account that nobody invited to the issuer."""
    with Client(emulator, emulator.account(role="", private_key=private_key)) as client:
        yield client


def grant(client: Client, **changes: Any) -> requests.Response:
    """Ask for a token with an assertion that differs from a good one in this."""
    now = int(time.time())
    claims = {
        "iss": client.key["client_email"],
        "aud": "https://oauth2.googleapis.com/token",
        "scope": SCOPE,
        "iat": now,
        "exp": now + 3600,
    }
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": sign_jwt(client.key, {**claims, **changes}),
    }
    return client.plain.post(f"{client.emulator.base_url}/token", data=form, timeout=10)


# Tokens


def test_a_revoked_token_is_renewed(shop: Client) -> None:
    """google-auth asks for another after a 401, and the call succeeds."""
    assert shop.control("POST", "tokens", {"revoke": True})["revoked"] == 1
    accepted(shop.call("GET", f"loyaltyObject/{shop.object_id}"))
    statuses = [entry["status"] for entry in shop.emulator.log()[-3:]]
    assert statuses == [401, 200, 200]


def test_tokens_expire(shop: Client) -> None:
    """After the time that the answer names."""
    shop.control("POST", "tokens", {"lifetime": 60})
    token = grant(shop).json()
    assert token["expires_in"] == 60
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    url = f"{shop.api}/loyaltyObject/{shop.object_id}"
    tokens = shop.emulator.store.tokens
    tokens.clock = lambda: time.time() + 50
    assert shop.plain.get(url, headers=headers, timeout=10).status_code == 200
    tokens.clock = lambda: time.time() + 61
    refused(shop.plain.get(url, headers=headers, timeout=10), 401, "authError")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://example.com/token"},
        {"iss": "nobody@example.com"},
        {"iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600},
        {"iat": int(time.time()) + 3600, "exp": int(time.time()) + 7200},
        {"exp": int(time.time()) + 86_400},
        {"exp": None},
        {"scope": ""},
    ],
    # Not by their values: those differ from one process of the tests to the next.
    ids=["audience", "issuer", "past", "future", "too long", "endless", "no scope"],
)
def test_bad_assertions(client: Client, changes: Json) -> None:
    """The token endpoint's own kind of error."""
    answer = grant(client, **changes)
    assert answer.status_code == 400
    assert answer.json()["error"] == ("invalid_scope" if "scope" in changes else "invalid_grant")


def test_a_key_that_was_replaced(client: Client, emulator: GoogleEmulator) -> None:
    """google-auth says what the endpoint says."""
    other = emulator.account()
    forged = {**client.key, "private_key": other["private_key"]}
    with Client(emulator, forged) as broken, pytest.raises(RefreshError, match="invalid_grant"):
        broken.call("GET", "issuer")


def test_who_may_do_what(client: Client, stranger: Client, emulator: GoogleEmulator) -> None:
    """Not invited: 403 by its reason. A reader reads. A token of another scope: another 403."""
    refused(stranger.call("POST", "loyaltyClass", stranger.loyalty_class()), 403,
            "permissionDenied")  # fmt: skip
    client.insert("loyaltyClass", client.loyalty_class())
    refused(stranger.call("GET", f"loyaltyClass/{client.class_id}"), 403, "permissionDenied")
    email = stranger.key["client_email"]
    roles = {email: "READER", client.key["client_email"]: "WRITER"}
    client.control("POST", "issuers", {"issuerId": client.issuer, "permissions": roles})
    accepted(stranger.call("GET", f"loyaltyClass/{client.class_id}"))
    change = {"reviewStatus": "UNDER_REVIEW"}
    answer = stranger.patch(change, client.class_id, "loyaltyClass")
    refused(answer, 403, "permissionDenied")
    token = grant(client, scope="https://www.googleapis.com/auth/cloud-platform").json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    answer = client.plain.get(f"{client.api}/issuer", headers=headers, timeout=10)
    refused(answer, 403, "insufficientPermissions")
    refused(client.plain.get(f"{client.api}/issuer", timeout=10), 401, "authError")


def test_issuer_and_permissions(client: Client, stranger: Client) -> None:
    """What a set-up check reads; a list of permissions is replaced whole."""
    assert accepted(client.call("GET", f"issuer/{client.issuer}"))["issuerId"] == client.issuer
    assert len(accepted(client.call("GET", "issuer"))["resources"]) == 1
    assert accepted(stranger.call("GET", "issuer"))["resources"] == []
    path = f"permissions/{client.issuer}"
    email = client.key["client_email"]
    assert accepted(client.call("GET", path))["permissions"] == [
        {"emailAddress": email, "role": "writer"}
    ]
    refused(stranger.call("GET", path), 403, "permissionDenied")
    others = [{"emailAddress": stranger.key["client_email"], "role": "OWNER"}]
    accepted(client.call("PUT", path, {"issuerId": client.issuer, "permissions": others}))
    refused(client.call("GET", path), 403, "permissionDenied")


# Methods


def test_patch_merges_and_put_replaces(shop: Client) -> None:
    """PATCH: objects merge, arrays do not, null removes. PUT: what is not named is gone."""
    shop.message(f"loyaltyObject/{shop.object_id}", "m1", "TEXT")
    change = {
        "loyaltyPoints": {"balance": {"string": "7"}},
        "textModulesData": [{"id": "other", "header": "h", "body": "b"}],
        "accountId": None,
    }
    merged = accepted(shop.patch(change))
    assert merged["loyaltyPoints"]["label"] == "Баллы"
    assert merged["loyaltyPoints"]["balance"] == {"string": "7"}
    assert [module["id"] for module in merged["textModulesData"]] == ["other"]
    assert "accountId" not in merged
    assert [message["id"] for message in merged["messages"]] == ["m1"]
    shop.emulator.save(shop.object_id)
    whole = shop.loyalty_object(id=None)
    replaced = accepted(shop.call("PUT", f"loyaltyObject/{shop.object_id}", whole))
    assert "messages" not in replaced
    assert replaced["hasUsers"] is True
    assert replaced["id"] == shop.object_id


def test_partial_answers(shop: Client) -> None:
    """The `fields` parameter."""
    path = f"loyaltyObject/{shop.object_id}"
    assert shop.call("GET", path, fields="hasUsers").json() == {"hasUsers": False}
    nested = shop.call("GET", path, fields="id,loyaltyPoints/balance(string),messages").json()
    assert nested == {"id": shop.object_id, "loyaltyPoints": {"balance": {"string": "1 250"}}}
    for bad in ("id,", "a(b", "a b!"):
        refused(shop.call("GET", path, fields=bad), 400, "invalidParameter")


def test_lists_in_pages(shop: Client) -> None:
    """Objects of a class, classes of an issuer; a page says where the next one starts."""
    for number in range(2, 6):
        shop.insert("loyaltyObject", shop.loyalty_object(id=f"{shop.issuer}.card-{number}"))
    found: list[str] = []
    params: dict[str, Any] = {"classId": shop.class_id, "maxResults": 2}
    pages = 0
    while True:
        answer = accepted(shop.call("GET", "loyaltyObject", **params))
        found += [item["id"] for item in answer["resources"]]
        pages += 1
        if "nextPageToken" not in answer["pagination"]:
            break
        params["token"] = answer["pagination"]["nextPageToken"]
    assert found == [f"{shop.issuer}.card-{number}" for number in range(1, 6)]
    assert pages == 3
    everything = accepted(shop.call("GET", "loyaltyObject", classId=shop.class_id))
    assert len(everything["resources"]) == 5
    classes = accepted(shop.call("GET", "giftCardClass", issuerId=shop.issuer))["resources"]
    assert [item["id"] for item in classes] == [shop.gift_class_id]
    refused(shop.call("GET", "loyaltyObject", classId=f"{shop.issuer}.x"), 404, "classNotFound")
    refused(shop.call("GET", "loyaltyClass", issuerId="5"), 403, "permissionDenied")


def test_a_pass_expires(shop: Client) -> None:
    """By the emulator's clock."""
    path = f"loyaltyObject/{shop.object_id}"
    shop.control("POST", "clock", {"at": "2034-12-31T20:59:59Z"})
    assert shop.call("GET", path).json()["state"] == "active"
    shop.control("POST", "clock", {"advance_seconds": 60})
    assert shop.call("GET", path).json()["state"] == "expired"


# Batches


def part(number: int, method: str, path: str, body: Any = None, end: str = "\r\n") -> str:
    """One request of a batch."""
    lines = ["Content-Type: application/http", f"Content-ID: <item-{number}>", ""]
    lines += [f"{method} /walletobjects/v1/{path} HTTP/1.1"]
    lines += ["Content-Type: application/json", ""]
    lines += ["" if body is None else json.dumps(body, ensure_ascii=False)]
    return end.join(lines)


def send(client: Client, parts: list[str], end: str = "\r\n") -> list[tuple[str, int, Any]]:
    """Post a batch; returns id, status and body of each part of the answer."""
    body = "".join(f"--x{end}{item}{end}" for item in parts) + f"--x--{end}"
    answer = client.session.post(
        f"{client.emulator.base_url}/batch",
        data=body.encode(),
        headers={"Content-Type": "multipart/mixed; boundary=x"},
    )
    assert answer.status_code == 200, answer.text
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    read = BytesParser().parsebytes(head + answer.content)
    return [_read_part(item) for item in read.get_payload() if isinstance(item, Message)]


def _read_part(item: Message) -> tuple[str, int, Any]:
    text = item.get_payload(decode=True)
    assert isinstance(text, bytes)
    head, _, body = text.partition(b"\r\n\r\n")
    return str(item["Content-ID"]), int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_parts_are_answered_one_by_one(shop: Client, end: str) -> None:
    """Each has its own status, in the order of the requests, whoever writes the line ends."""
    parts = [
        part(1, "PATCH", f"loyaltyObject/{shop.object_id}", {"accountName": "Аня"}, end),
        part(2, "GET", f"loyaltyObject/{shop.issuer}.none", None, end),
        part(3, "POST", "loyaltyObject", shop.loyalty_object(id=f"{shop.issuer}.new"), end),
        part(4, "PATCH", f"loyaltyObject/{shop.object_id}", {"nonsense": 1}, end),
        part(5, "GET", f"giftCardObject/{shop.gift_id}?fields=hasUsers", None, end),
    ]
    answers = send(shop, parts, end)
    assert [status for _, status, _ in answers] == [200, 404, 200, 400, 200]
    assert [name for name, _, _ in answers] == [f"<response-item-{n}>" for n in range(1, 6)]
    assert answers[0][2]["accountName"] == "Аня"
    assert answers[1][2]["error"]["errors"][0]["reason"] == "resourceNotFound"
    assert answers[4][2] == {"hasUsers": False}
    assert {entry["batch"] for entry in shop.emulator.log()[-5:]} == {1}


def test_batches_are_applied_in_any_order(shop: Client) -> None:
    """Two changes of one card in one batch end in either."""
    last = set()
    for _ in range(20):
        parts = [
            part(n, "PATCH", f"loyaltyObject/{shop.object_id}", {"accountName": str(n)})
            for n in range(3)
        ]
        send(shop, parts)
        last.add(shop.emulator.resource(shop.object_id)["accountName"])
    assert last == {"0", "1", "2"}


def test_batches_that_are_refused_whole(shop: Client) -> None:
    """Too many parts, none, no boundary, cut off; a token that is none."""
    url = f"{shop.emulator.base_url}/batch"
    one = part(1, "GET", f"loyaltyObject/{shop.object_id}")
    mixed = "multipart/mixed; boundary=x"
    bad = [
        (mixed, f"--x\r\n{one}\r\n" * 1001 + "--x--"),
        (mixed, "--x--"),
        (mixed, f"--x\r\n{one}\r\n"),
        (mixed, ""),
        (mixed, "--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n\r\n\r\n--x--"),
        ("application/json", "{}"),
    ]
    for content_type, body in bad:
        answer = shop.session.post(url, data=body, headers={"Content-Type": content_type})
        refused(answer, 400, "badRequest")
    whole = f"--x\r\n{one}\r\n--x--"
    headers = {"Content-Type": mixed, "Authorization": "Bearer no"}
    refused(shop.plain.post(url, data=whole, headers=headers, timeout=10), 401, "authError")
    assert len(send(shop, [one] * 1000)) == 1000
