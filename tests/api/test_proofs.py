"""Proofs of phones over HTTP: a cashier has a code sent and types what the customer says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.api.conftest import Api
from tests.api.proving import ASKED, ask, code_of, told, try_code
from tests.messaging.making import add_gateway
from walletsvc.access.rules import Scope
from walletsvc.jobs.events import CallReceived
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.proving import ways


@pytest.fixture
def desk(api: Api) -> Api:
    """The shop has a gateway for SMS and one for calls."""
    with api.database.write_tx() as session:
        add_gateway(session, api.now)
        add_gateway(session, api.now, Channel.CALL)
    return api


def test_a_code_at_the_till(desk: Api) -> None:
    """The SMS says what the code agrees to; the answer says nothing of the phone."""
    answer = ask(desk)
    assert answer.status_code == 201, answer.text
    proof = answer.get_json()
    assert proof == {
        "id": proof["id"],
        "route": "sms",
        "expires_at": "2026-11-20T09:40:00Z",
        "resend_at": "2026-11-20T09:31:00Z",
        "call_to": None,
        "token": None,
    }
    sms = told(desk)
    texts = desk.call("GET", "/consent-texts").get_json()["items"]
    assert f"https://cards.example.test/consents/{texts[0]['id']}" in sms
    code = code_of(sms)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    assert try_code(desk, proof["id"], wrong) == {"state": "wrong", "tries_left": 4}
    assert try_code(desk, proof["id"], f"{code[:3]} {code[3:]}") == {
        "state": "proven",
        "tries_left": 3,
    }
    status = desk.call("GET", f"/proofs/{proof['id']}").get_json()
    assert (status["state"], status["route"]) == ("proven", "sms")


def test_a_wrong_code_stays_counted(desk: Api) -> None:
    """Five answers, whatever they were; then the right one is not looked at."""
    proof = ask(desk).get_json()["id"]
    code = code_of(told(desk))
    left = [try_code(desk, proof, "no")["tries_left"] for _ in range(5)]
    assert left == [4, 3, 2, 1, 0]
    assert try_code(desk, proof, code) == {"state": "spent", "tries_left": 0}


def test_asking_again_at_once_is_the_same_proof(desk: Api) -> None:
    first, again = ask(desk), ask(desk, phone="+79001234567")
    assert first.get_json() == again.get_json()
    with desk.database.read_tx() as session:
        assert session.execute(text("SELECT count(*) FROM messages")).scalar_one() == 1


def test_a_proof_is_the_organisations(desk: Api) -> None:
    """Another key of it may go on; to another organisation there is no such proof."""
    proof = ask(desk).get_json()["id"]
    code = code_of(told(desk))
    theirs = desk.key(shop=desk.other)
    for call in (
        desk.call("POST", f"/proofs/{proof}/code", json={"code": code}, secret=theirs),
        desk.call("GET", f"/proofs/{proof}", secret=theirs),
        desk.call("GET", "/proofs/nonsense"),
    ):
        assert (call.status_code, call.get_json()["code"]) == (404, "not_found")
    till = desk.key(Scope.PROOFS_WRITE)
    assert try_code(desk, proof, code, secret=till)["state"] == "proven"


def test_too_many_messages_and_guesses(desk: Api) -> None:
    """429 with the time to wait; the tries that were answered stay counted."""
    asked = {0: "join", 2: "claim", 4: "change_phone", 14: "join", 16: "claim"}
    for minute, purpose in asked.items():
        desk.clock = desk.now + timedelta(minutes=minute)
        proof = ask(desk, purpose=purpose).get_json()["id"]
        if minute < 10:
            for _ in range(5):
                assert try_code(desk, proof, "no")["state"] == "wrong"
    late = desk.call("POST", f"/proofs/{proof}/code", json={"code": code_of(told(desk))})
    assert (late.status_code, late.get_json()["code"]) == (429, "too_many_tries")
    refused = ask(desk, purpose="change_phone")
    assert (refused.status_code, refused.get_json()["code"]) == (429, "too_many_tries")
    assert int(refused.headers["Retry-After"]) == 14 * 60
    assert ask(desk, purpose="till").status_code == 201  # the till's own are not used up


def test_without_a_gateway(api: Api) -> None:
    """503 in one clear line, and nothing is written."""
    before = api.rows()
    answer = ask(api, purpose="join")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "unavailable")
    assert api.rows() == before


def test_a_proof_by_a_call(desk: Api) -> None:
    proof = ask(desk, route="call", purpose="join").get_json()["id"]
    assert desk.call("GET", f"/proofs/{proof}").get_json()["call_to"] is None
    with desk.database.write_tx() as session:
        ways.ring_to(
            session, proof, call_to="+78005550000", external_id="1",
            expires_at=desk.now + timedelta(minutes=5),
        )  # fmt: skip
    status = desk.call("GET", f"/proofs/{proof}").get_json()
    assert (status["state"], status["call_to"]) == ("waiting", "+78005550000")
    with desk.database.write_tx() as session:
        ways.call_received(session, CallReceived(desk.now, None, "+79001234567", "1"))
    assert desk.call("GET", f"/proofs/{proof}").get_json()["state"] == "proven"


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"phone": "12345"}, "phone", "invalid_phone"),
        ({"phone": 79001234567}, "phone", "wrong_type"),
        ({"programme": "other"}, "programme", "unknown"),
        ({"programme": "nope"}, "programme", "unknown"),
        ({"purpose": "log_in"}, "purpose", "not_allowed"),
        ({"purpose": "x"}, "purpose", "not_allowed"),
        ({"route": "pigeon"}, "route", "not_allowed"),
        ({"language": "de"}, "language", "not_allowed"),
        ({"code": "1"}, "code", "unknown_field"),
    ],
)
def test_what_is_wrong_is_named(desk: Api, changes: dict[str, Any], field: str, code: str) -> None:
    before = desk.rows()
    answer = ask(desk, **changes)
    assert answer.status_code == 400, answer.text
    first = answer.get_json()["errors"][0]
    assert (first["field"], first["code"]) == (field, code)
    assert desk.rows() == before


def test_a_contact_shared_with_a_bot(api: Api) -> None:
    """As docs/rest.md has it: no gateway, a bot with a key of its own, which proves the phone of
    this token and no other."""
    asked = ask(api, route="messenger")
    assert asked.status_code == 201, asked.text
    started = asked.get_json()
    bot = api.key(Scope.PROOFS_VOUCH)

    def share(secret: str = bot, **changes: str) -> TestResponse:
        sent = {"token": started["token"], "phone": ASKED["phone"], **changes}
        return api.call("POST", "/proofs/contacts", json=sent, secret=secret)

    assert share(api.key(Scope.PROOFS_WRITE)).status_code == 403
    strangers = api.key(Scope.PROOFS_VOUCH, shop=api.other)
    for refused in (share(token="x" * 32), share(phone="+79001234568"), share(strangers)):
        assert refused.get_json() == {"proven": False}
    path = f"/proofs/{started['id']}"
    assert api.call("GET", path).get_json()["state"] == "waiting"
    assert share().get_json() == {"proven": True}
    assert share().get_json() == {"proven": False}
    assert api.call("GET", path).get_json()["state"] == "proven"
