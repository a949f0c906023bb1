"""Calls that are answered in front of the framework: nobody can tell by the answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from threading import Event
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import Client, EnvironBuilder, TestResponse, run_wsgi_app

from tests.api.conftest import Api, uncounted
from tests.api.selling import money, send
from tests.fronting import front_of, watched
from tests.storage.connections import until_one_waits
from walletsvc.api.front import finder
from walletsvc.web import logs
from walletsvc.web.context import Deps
from walletsvc.web.front import Front
from walletsvc.web.turns import Turns

# Of each answer another one.
OWN = ("x-request-id", "content-length")


@pytest.fixture
def front(api: Api) -> Front:
    """What stands in front of the application."""
    return front_of(api.app)


@pytest.fixture
def framework(front: Front) -> Iterator[list[str]]:
    """What got to the framework, and after each the error that came along."""
    with watched(front) as seen:
        yield seen


@pytest.fixture
def behind(api: Api, front: Front) -> Api:
    """The same interface without what stands in front."""
    client: Any = Client(front._application)
    return replace(api, client=client)


def told(answer: TestResponse) -> tuple[Any, ...]:
    """What a caller sees, but for what is new each time."""
    assert answer.headers["Content-Length"] == str(len(answer.data))
    headers = sorted((name.lower(), value) for name, value in answer.headers)
    return answer.status, [item for item in headers if item[0] not in OWN]


WRONG: dict[str, Callable[[Api], TestResponse]] = {
    "who is not known": lambda api: api.call("POST", "/scans", json={"text": "1"}, secret="no"),
    "lacks the scope": lambda api: api.call(
        "POST", "/scans", json={"text": "1"}, secret=api.key("ledger:read")
    ),
    "no key": lambda api: api.call("POST", "/purchases", json={"external_id": "1"}),
    "malformed": lambda api: api.call(
        "POST", "/scans", data=b"{", headers={"Content-Type": "application/json"}
    ),
    "a wrong field": lambda api: api.call("POST", "/scans", json={"text": "1", "more": 1}),
    "no JSON": lambda api: api.call("POST", "/scans", data=b"text=1"),
    "too long": lambda api: api.call(
        "POST",
        "/scans",
        data=b" " * 1_048_577,
        headers={"Content-Type": "application/json"},
    ),
    "a parameter": lambda api: api.call("POST", "/scans?more=1", json={"text": "1"}),
    "no length": lambda api: api.call(
        "POST",
        "/scans",
        data=b"{}",
        headers={"Content-Type": "application/json"},
        environ_overrides={"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"},
    ),
    "another method": lambda api: api.call("PUT", "/scans", json={"text": "1"}),
}


def test_an_answer_is_the_frameworks(api: Api, behind: Api, framework: list[str]) -> None:
    """Status, headers and body of calls that write, that repeat, and that only read."""
    card = api.member()["card"]
    framework.clear()
    answers = []
    for each, name in ((api, "a"), (behind, "b")):
        sold = {"card_id": card["id"], "total": money(50_000), "external_id": name}
        scanned = each.call("POST", "/scans", json={"text": card["number"]})
        first, again = (send(each, "/purchases", sold, key=f"key-{name}") for _ in range(2))
        listed = each.call("GET", "/purchases?limit=1")
        assert again.data == first.data
        assert again.headers["Idempotency-Replayed"] == "true"
        answers.append([told(answer) for answer in (scanned, first, again, listed)])
        assert scanned.get_json()["card"]["id"] == listed.get_json()["items"][0]["card_id"]
    assert framework == []
    assert answers[0] == answers[1]
    assert [status for status, _ in answers[0]] == [
        "200 OK",
        "201 CREATED",
        "201 CREATED",
        "200 OK",
    ]


@pytest.mark.parametrize("what", WRONG)
def test_an_error_is_the_frameworks(api: Api, behind: Api, framework: list[str], what: str) -> None:
    """Answered by it, and nothing is tried a second time."""
    framework.clear()
    short = WRONG[what](api)
    assert len([seen for seen in framework if seen.startswith("/")]) == 1
    assert short.status_code >= 400
    long = WRONG[what](behind)
    assert told(short) == told(long)
    problems = [answer.get_json() | {"request_id": None} for answer in (short, long)]
    assert problems[0] == problems[1]


def test_a_request_id_goes_along(
    api: Api, framework: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Into the answer, the log line and an error; one that is not sane is replaced."""
    number = api.member()["card"]["number"]
    framework.clear()
    logs.configure("json", "info")
    capsys.readouterr()
    good = api.call("POST", "/scans", json={"text": number}, headers={"X-Request-Id": "id-of-till"})
    assert good.headers["X-Request-Id"] == "id-of-till"
    assert framework == []
    (line,) = [
        found
        for found in map(json.loads, capsys.readouterr().err.splitlines())
        if found["event"] == "request"
    ]
    assert (line["request_id"], line["path"], line["status"]) == (
        "id-of-till", "/api/v1/scans", good.status_code,
    )  # fmt: skip
    bad = api.call("POST", "/scans", data=b"x", headers={"X-Request-Id": "a b"})
    assert bad.get_json()["request_id"] == bad.headers["X-Request-Id"] != "a b"


def test_each_answer_is_counted_by_its_route(api: Api, front: Front) -> None:
    """Those of the framework are its own to count."""
    number = api.member()["card"]["number"]
    counted: list[tuple[Any, ...]] = []
    app = Flask("walletsvc.web")
    front = Front(app.wsgi_app, front._finders, lambda *what: counted.append(what[:3]))
    client = Client(front)
    headers = {"Authorization": f"Bearer {api.secret}"}
    client.post("/api/v1/scans", json={"text": number}, headers=headers)
    client.get("/api/v1/purchases", headers=headers)
    client.get("/api/v1/purchases/aaaaaaaaaaaaaaaaaaaa", headers=headers)
    assert counted == [("POST", "/api/v1/scans", 200), ("GET", "/api/v1/purchases", 200)]


@pytest.fixture
def patient(api: Api, kept_app: tuple[Flask, Deps]) -> Api:
    """The same interface, where a call waits for its turn longer than any test."""
    front = Front(api.app.wsgi_app, (finder(kept_app[1], Turns(1, patience=20)),), uncounted)
    client: Any = Client(front)
    return replace(api, client=client)


def test_calls_take_turns_but_none_waits_for_a_locked_card(api: Api) -> None:
    """The first one after a call that waits for a lock lets it have the time of many short calls;
    the next goes by at once."""
    card = api.member()["card"]
    scan(api, card)
    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        with locked_cards(api):
            sold = pool.submit(send, api, "/purchases", sale_of(card))
            until_one_waits(api.database)
            scan(api, card)
            assert time.monotonic() - started >= 0.1
            assert min(scan(api, card) for _ in range(5)) < 0.1
            assert not sold.done()
        assert sold.result(10).status_code == 201
    assert min(scan(api, card) for _ in range(5)) < 0.1


def test_what_is_not_of_a_till_takes_no_turn(patient: Api) -> None:
    """A list is read while a purchase has its turn."""
    card = patient.member()["card"]
    with ThreadPoolExecutor(1) as pool:
        with locked_cards(patient):
            sold = pool.submit(send, patient, "/purchases", sale_of(card))
            until_one_waits(patient.database)
            started = time.monotonic()
            assert patient.call("GET", "/purchases?limit=1").status_code == 200
            assert time.monotonic() - started < 10
            assert not sold.done()
        assert sold.result(10).status_code == 201


def test_who_sends_slowly_has_no_turn(patient: Api) -> None:
    """Others do not wait for the rest of a body."""
    card = patient.member()["card"]
    slow = Slow(json.dumps({"text": card["number"]}).encode())
    environ = EnvironBuilder(
        "/api/v1/scans",
        method="POST",
        headers=[("Authorization", f"Bearer {patient.secret}")],
        input_stream=slow,
        content_type="application/json",
        content_length=slow.length,
    ).get_environ()
    client: Any = patient.client
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(run_wsgi_app, client.application, environ)
        assert slow.asked.wait(10)
        assert scan(patient, card) < 10
        assert not answer.done()
        slow.rest.set()
        assert answer.result(10)[1] == "200 OK"


class Slow(BytesIO):
    """A body whose first byte is long in coming."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.length = len(body)
        self.asked, self.rest = Event(), Event()

    def read(self, size: int | None = -1, /) -> bytes:
        self.asked.set()
        assert self.rest.wait(90)
        return super().read(size)

    def readinto(self, buffer: Any, /) -> int:
        self.asked.set()
        assert self.rest.wait(90)
        return super().readinto(buffer)


def scan(api: Api, card: dict[str, Any]) -> float:
    """The seconds that a scan takes."""
    started = time.monotonic()
    assert api.call("POST", "/scans", json={"text": card["number"]}).status_code == 200
    return time.monotonic() - started


def sale_of(card: dict[str, Any]) -> dict[str, Any]:
    """What a till sends."""
    return {"card_id": card["id"], "total": money(50_000), "external_id": "1"}


@contextmanager
def locked_cards(api: Api) -> Iterator[None]:
    """Somebody else has locked all accounts of cards."""
    with api.database.write_tx() as session:
        session.execute(text("SELECT FROM accounts WHERE kind = 'customer' FOR UPDATE"))
        yield
