"""Every call of the OpenAPI document, asked with what the document allows and what it does not.

Whatever is sent, the answer is one that the document promises: its status, its media type and its
body by the schema, never a 5xx. Cards, purchases, certificates, holds and rules exist, so that the
calls come further than to "not found".
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.conftest import Api
from tests.api.drawing import ANY_TEXT, Known, bodies, values
from tests.certificates.shop import gift_programme
from tests.messaging.making import add_gateway
from tests.sales.shop import BOOK, TILL
from walletsvc.messaging.kinds import Channel
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.schemas import RuleBook

LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
# An operation's share; all of them together are some hundreds of requests in the short form.
HOW_MANY = settings(
    max_examples=60 if LONG else 4,
    derandomize=not LONG,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def _send(api: Api, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    answer = api.call("POST", path, json=body, headers={"Idempotency-Key": key})
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.get_json())


def _furnish(api: Api) -> None:
    """Gateways, a programme of certificates, rules and a draft of the next ones."""
    at = api.now - timedelta(days=7)
    with api.database.write_tx() as session:
        for channel in (Channel.SMS, Channel.CALL, Channel.MESSENGER):
            add_gateway(session, api.now, channel)
        gift_programme(session, api.shop.organisation.id, api.now)
        book = RuleBook.model_validate(BOOK)
        versions.save_draft(session, api.shop.programme, book, TILL, "", at)
        versions.publish(session, api.shop.programme, TILL, at)
        versions.save_draft(session, api.shop.programme, book, TILL, "", api.now)


@pytest.fixture
def known(api: Api, card: str) -> Known:
    """What exists, by the names of fields and parameters."""
    _furnish(api)
    api.adjust(card, 10_000)
    shown = api.call("GET", f"/cards/{card}").get_json()
    number = shown["number"]
    words = api.call("GET", "/consent-texts").get_json()["items"]
    asked = {"programme": "shop", "phone": "+79001234567", "purpose": "till"}
    proof = _send(api, "/proofs", asked, "proof")
    total = {"amount": 20_000, "currency": "RUB"}
    sale = {"card_id": card, "total": total}
    bought = [
        _send(api, "/purchases", {**sale, "external_id": str(n)}, f"p{n}")["id"] for n in range(4)
    ]
    gifts = [
        _send(api, "/certificates", {"programme": "gift", "amount": 10**6}, f"c{n}")
        for n in range(4)
    ]
    wanted = {"amount": 5, "seconds": 900, "reason": "x"}
    holds = [
        _send(api, "/holds", {**wanted, "card_id": card}, f"h{n}")["hold"]["id"] for n in range(4)
    ]
    moved = api.call("GET", f"/cards/{card}/transactions").get_json()
    other = api.member(first_name="Вера", phone="+79005556677")["card"]["id"]
    ids = [gift["certificate"]["id"] for gift in gifts]
    return {
        "card_id": (card, other),
        "purchase_id": tuple(bought),
        "certificate_id": tuple(ids),
        "hold_id": tuple(holds),
        "transaction_id": tuple(each["id"] for each in moved["items"]),
        "programme": ("shop", "gift"),
        "slug": ("shop", "gift"),
        "number": ("1", "2", "3"),
        "person_id": (shown["holder"]["id"],),
        "text_id": tuple(each["id"] for each in words),
        "proof_id": (proof["id"],),
        "proof": (proof["id"],),
        "branch_id": (api.branch.public_id,),
        "code": tuple(gift["code"] for gift in gifts),
        "text": (number, gifts[0]["code"], words[0]["id"], words[1]["id"]),
        "currency": ("RUB",),
        "purchase_external_id": ("0", "1", "later"),
        "external_id": ("new", "0", "1", "newer"),
        "rules": (BOOK,),
    }


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def _requests(
    operation: dict[str, Any], document: dict[str, Any], known: Known
) -> st.SearchStrategy[dict[str, Any]]:
    parameters: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
    optional: dict[str, Any] = {}
    for each in operation.get("parameters", ()):
        drawn = values(each["schema"], document, known, each["name"])
        if each["in"] == "query" and not each["required"]:
            optional[each["name"]] = drawn | ANY_TEXT
        else:
            parameters[each["in"]][each["name"]] = drawn
    parts: dict[str, Any] = {
        "path": st.fixed_dictionaries(parameters["path"]),
        "query": st.fixed_dictionaries(parameters["query"], optional=optional),
        "key": st.uuids().map(str),
    }
    body = operation.get("requestBody")
    if body:
        parts["body"] = bodies(body["content"]["application/json"], document, known)
    return st.fixed_dictionaries(parts)


class _Promises:
    """What the document says that a call answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._components = {"components": document["components"]}
        self._validators: dict[str, Any] = {}

    def check(self, operation: dict[str, Any], answer: Any) -> None:
        """The answer is one of those."""
        status = str(answer.status_code)
        assert answer.status_code < 500, answer.text
        assert status in operation["responses"], f"undocumented: {status} {answer.text}"
        content = operation["responses"][status].get("content", {})
        if not content:
            assert not answer.data
            return
        assert answer.mimetype in content, (status, answer.mimetype)
        schema = content[answer.mimetype]["schema"]
        name = json.dumps(schema, sort_keys=True)
        if name not in self._validators:
            full = schema | self._components
            self._validators[name] = jsonschema_rs.Draft202012Validator(full)
        faults = [f"{e.instance_path}: {e.message}" for e in
                  self._validators[name].iter_errors(json.loads(answer.data))]  # fmt: skip
        assert faults == []


def _ask(api: Api, method: str, path: str, request: dict[str, Any]) -> Any:
    """Send what was drawn."""
    parts = {name: quote(str(value), safe="") for name, value in request["path"].items()}
    options: dict[str, Any] = {"environ_overrides": {"CONTENT_LENGTH": "0"}}
    if "body" in request:
        options = {"json": request["body"]}
    query = {
        name: "" if value is None else str(value).lower() if isinstance(value, bool) else value
        for name, value in request["query"].items()
    }
    headers = {"Idempotency-Key": request["key"]}
    return api.call(method, path.format(**parts), query_string=query, headers=headers, **options)


def test_every_call_answers_what_the_document_says(api: Api, known: Known) -> None:
    """All operations in turn; what one does, the next ones find."""
    document = api.client.get("/api/openapi.json").get_json()
    promises = _Promises(document)
    reached: set[str] = set()

    def fuzz(method: str, path: str, operation: dict[str, Any]) -> None:
        @HOW_MANY
        @given(request=_requests(operation, document, known))
        def ask(request: dict[str, Any]) -> None:
            answer = _ask(api, method, path, request)
            if any(str(part) in ("", ".", "..") or "/" in str(part) for part in
                   request["path"].values()):  # fmt: skip
                assert answer.status_code < 500  # such an address is no call of the document
                return
            promises.check(operation, answer)
            if answer.status_code < 300:
                reached.add(operation["operationId"])

        ask()

    for method, path, operation in _operations(document):
        fuzz(method, path, operation)
    if LONG:
        assert {"scan", "quote", "recordPurchase", "refundPurchase", "createHold"} <= reached
