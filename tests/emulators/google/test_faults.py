"""Armed failures, the quota of requests, the log and the rest of the control interface."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from google.auth.exceptions import TransportError

from tests.emulators.google.client import Client, Json, accepted, refused
from tests.emulators.google.test_api import part, send
from walletsvc.core.errors import ConfigurationError, InputError
from walletsvc.emulators.google import GoogleEmulator
from walletsvc.emulators.google.quota import Quota

LOST = (requests.ConnectionError, requests.Timeout, TransportError)


def name_of(client: Client) -> Any:
    """What the loyalty card is called just now."""
    return client.emulator.resource(client.object_id).get("accountName")


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("429", 429, "rateLimitExceeded"),
        ("500", 500, "backendError"),
        ("503", 503, "backendError"),
        ("rateLimitExceeded", 403, "rateLimitExceeded"),
        ("quotaExceeded", 403, "quotaExceeded"),
    ],
)
def test_error_answers(shop: Client, fault: str, status: int, reason: str) -> None:
    """As often as armed, to what was meant; nothing is applied."""
    limits = {"fault": fault, "count": 2, "method": "PATCH", "resource": "loyaltyObject"}
    shop.control("POST", "faults", limits)
    accepted(shop.call("GET", f"loyaltyObject/{shop.object_id}"))
    accepted(shop.patch({"pin": "1"}, shop.gift_id, "giftCardObject"))
    for _ in range(2):
        refused(shop.patch({"accountName": "x"}), status, reason)
    assert name_of(shop) is None
    accepted(shop.patch({"accountName": "y"}))
    assert shop.control("GET", "faults")["armed"] == []


def test_applied_although_it_failed(shop: Client) -> None:
    """An error answer may lie."""
    shop.control("POST", "faults", {"fault": "500", "applied": True, "id": shop.object_id})
    refused(shop.patch({"accountName": "x"}), 500, "backendError")
    assert name_of(shop) == "x"


def test_401_once(shop: Client) -> None:
    """google-auth renews the token and asks again by itself."""
    shop.emulator.arm("401")
    accepted(shop.patch({"accountName": "x"}))


@pytest.mark.parametrize(
    ("fault", "applied"),
    [("drop_before", None), ("drop_after", "x"), ("hang_before", None), ("hang_after", "x")],
)
def test_answers_that_are_lost(shop: Client, fault: str, applied: str | None) -> None:
    """The client cannot tell whether it was applied; the emulator can."""
    seconds = {"seconds": 0.2} if fault.startswith("hang") else {}
    shop.control("POST", "faults", {"fault": fault, "method": "PATCH", **seconds})
    with pytest.raises(LOST):
        shop.patch({"accountName": "x"})
    assert name_of(shop) == applied


def test_a_hang_ends_with_the_faults(shop: Client) -> None:
    """A test need not wait for it."""
    shop.control("POST", "faults", {"fault": "hang_after", "seconds": 600})
    lost: list[Exception] = []

    def patch() -> None:
        try:
            shop.patch({"accountName": "x"})
        except LOST as error:
            lost.append(error)

    waiting = threading.Thread(target=patch)
    waiting.start()
    shop.control("GET", "log", after=shop.emulator.journal.last, wait=10)
    shop.control("DELETE", "faults")
    waiting.join(10)
    assert lost


def test_parts_of_batches(shop: Client) -> None:
    """A part fails alone; a lost answer is that of all parts; a batch fails by its name."""
    patches = [
        part(n, "PATCH", f"loyaltyObject/{shop.object_id}", {"accountName": str(n)})
        for n in range(3)
    ]
    shop.emulator.arm("503", part=False)
    shop.emulator.arm("429", part=True)
    assert sorted(status for _, status, _ in send(shop, patches)) == [200, 200, 429]
    refused(shop.patch({}), 503, "backendError")
    shop.emulator.arm("drop_after", resource="loyaltyObject", part=True)
    with pytest.raises(LOST):
        send(shop, [part(1, "PATCH", f"loyaltyObject/{shop.object_id}", {"accountName": "all"})])
    assert name_of(shop) == "all"
    shop.emulator.arm("503", resource="batch")
    with pytest.raises(AssertionError, match="backendError"):
        send(shop, patches)
    assert name_of(shop) == "all"


def test_token_and_keys_fail_only_by_name(shop: Client) -> None:
    """A fault for the API leaves them alone."""
    shop.emulator.arm("503")
    url = f"{shop.emulator.base_url}/gp/m/issuer/keys"
    assert shop.plain.get(url, timeout=10).status_code == 200
    shop.emulator.arm("503", resource="keys")
    assert shop.plain.get(url, timeout=10).status_code == 503
    refused(shop.patch({}), 503, "backendError")


def test_the_quota_counts_parts() -> None:
    """One bucket per issuer, filled by real time."""
    now = [0.0]
    quota = Quota(lambda: now[0])
    assert all(quota.take("1") for _ in range(1000))
    quota.set(10, 5)
    assert [quota.take("1") for _ in range(7)] == [True] * 5 + [False] * 2
    assert quota.take("2")
    now[0] = 0.2
    assert [quota.take("1") for _ in range(3)] == [True, True, False]
    now[0] = 100
    assert sum(quota.take("1") for _ in range(100)) == 5
    quota.set(None)
    assert quota.take("1")


def test_over_the_quota(shop: Client) -> None:
    """429, for parts of a batch too."""
    shop.control("POST", "quota", {"requests_per_second": 0.001, "burst": 3})
    accepted(shop.patch({"accountName": "x"}))
    gets = [part(n, "GET", f"loyaltyObject/{shop.object_id}") for n in range(4)]
    assert sorted(status for _, status, _ in send(shop, gets)) == [200, 200, 429, 429]
    refused(shop.patch({}), 429, "rateLimitExceeded")
    counted = shop.control("GET", "quota")
    assert (counted["passed"], counted["refused"]) == (3, 3)


def test_the_log_holds_no_secret(shop: Client) -> None:
    """No token, no assertion, no link, no PIN, no key of a rotating code."""
    shop.plain.get(shop.link(), timeout=10)
    accepted(shop.patch({"pin": "98765"}, shop.gift_id, "giftCardObject"))
    log = shop.control("GET", "log")
    text = json.dumps(log)
    assert not re.search(r"ya29|eyJ|98765|4321|PRIVATE", text)
    last = log[-1]
    assert (last["method"], last["status"], last["body"]) == ("PATCH", 200, {"pin": "(hidden)"})
    assert last["path"] == f"/walletobjects/v1/giftCardObject/{shop.gift_id}"
    assert log[-2]["path"] == "/gp/v/save/…"
    assert [entry["seq"] for entry in log] == list(range(1, len(log) + 1))
    assert shop.control("GET", "log", after=last["seq"]) == []
    assert len(shop.control("GET", "log", limit=2)) == 2


def test_the_state_at_a_glance(shop: Client) -> None:
    """Counts, clock, what is armed."""
    shop.control("POST", "save", {"objectId": shop.object_id})
    state = shop.control("GET", "state")
    assert (state["loyaltyObject"], state["giftCardClass"], state["saved"]) == (1, 1, 1)
    assert shop.control("GET", f"objects/{shop.object_id}")["hasUsers"] is True
    left = shop.control("POST", "remove", {"objectId": shop.object_id})
    assert left == {"objectId": shop.object_id, "hasUsers": False, "changed": True}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "faults", {"fault": "nonsense"}, 400),
        ("POST", "faults", {"fault": "429", "typo": 1}, 400),
        ("POST", "clock", {"at": "tomorrow"}, 400),
        ("POST", "save", {"objectId": "1.none"}, 422),
        ("GET", "objects/1.none", None, 404),
        ("POST", "classes/1.none/review", None, 404),
        ("GET", "nonsense", None, 404),
        ("DELETE", "log", None, 405),
        ("GET", "log?after=x", None, 400),
    ],
)
def test_control_says_what_is_wrong(
    client: Client, method: str, path: str, body: Json | None, status: int
) -> None:
    """One clear line."""
    url = f"{client.emulator.base_url}/_/{path}"
    answer = client.plain.request(method, url, json=body, timeout=10)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]


def test_a_port_that_is_taken(emulator: GoogleEmulator) -> None:
    """One clear line at the start."""
    with pytest.raises(ConfigurationError, match=f"port {emulator.port} on 127.0.0.1 is taken"):
        GoogleEmulator(emulator.port)
    with pytest.raises(InputError):
        emulator.arm("typo")


class _Images(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        png = self.path == "/logo.png"
        self.send_response(200 if png or self.path == "/text.png" else 404)
        self.end_headers()
        self.wfile.write(b"\x89PNG\r\n\x1a\n...." if png else b"<html>")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def test_images_are_fetched_when_asked_to(client: Client) -> None:
    """An image that Google cannot load refuses the class."""
    client.control("POST", "switches", {"check_images": True})
    with ThreadingHTTPServer(("127.0.0.1", 0), _Images) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        base = f"http://127.0.0.1:{server.server_port}"

        def insert(name: str) -> requests.Response:
            logo = {"sourceUri": {"uri": f"{base}/{name}"}}
            body = client.loyalty_class(programLogo=logo, heroImage=None)
            return client.call("POST", "loyaltyClass", body)

        refused(insert("missing.png"), 400, "invalidResource")
        refused(insert("text.png"), 400, "invalidResource")
        accepted(insert("logo.png"))
        server.shutdown()
        thread.join()
    change = {"reviewStatus": "UNDER_REVIEW", "countryCode": "KZ"}
    path = client.class_id, "loyaltyClass"
    accepted(client.patch(change, *path))
    logo = {"programLogo": {"sourceUri": {"uri": f"{base}/logo.png"}}}
    refused(client.patch({**change, **logo}, *path), 400, "invalidResource")
