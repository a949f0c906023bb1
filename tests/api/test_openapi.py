"""The document: complete, consistent in itself, and true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.api.conftest import BASE, Api
from walletsvc.api.blueprint import OPERATIONS
from walletsvc.api.operations import KeyRule, Operation
from walletsvc.core import errors

MOVING_VALUE = (
    "/adjustments",
    "/bulk-credits",
    "/certificates",
    "/batches",
    "/redemptions",
    "/refunds",
    "/payout",
    "/top-ups",
    "/transfer",
    "/holds",
    "/capture",
    "/reversals",
)
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    """The document as a program gets it, without a key."""
    answer = api.client.get("/api/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    return dict(answer.get_json())


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield path, method, operation


def test_it_says_what_it_is(document: dict[str, Any]) -> None:
    """OpenAPI 3.1 with a title, a version, and the installation's address."""
    assert document["openapi"] == "3.1.0"
    assert {"title", "version"} <= set(document["info"])
    assert document["servers"] == [{"url": f"{BASE}/api/v1"}]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """And every schema is used."""
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    used = {node["$ref"] for node in _walk(document) if isinstance(node.get("$ref"), str)}
    assert used == known


def test_every_route_is_documented_and_every_document_is_routed(
    api: Api, document: dict[str, Any]
) -> None:
    """Both ways round, methods included."""
    routed = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule.removeprefix("/api/v1")), method.lower())
        for rule in api.app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routed == {(path, method) for path, method, _ in _operations(document)}


def test_operations_are_well_formed(document: dict[str, Any]) -> None:
    """Unique ids, described parameters, every path parameter declared, a tag that exists."""
    ids = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(ids) == len(set(ids))
    tags = {tag["name"] for tag in document["tags"]}
    for path, _, operation in _operations(document):
        declared = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path))
        for parameter in operation["parameters"]:
            assert parameter["description"]
            assert "schema" in parameter
            assert parameter["required"] or parameter["in"] != "path"
        assert set(operation["tags"]) <= tags
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", status)
            assert response["description"]
            wanted = "application/json" if status < "300" else "application/problem+json"
            assert list(response["content"]) == [wanted]


def test_every_call_tells_of_every_error_it_may_answer(document: dict[str, Any]) -> None:
    """401, 403 and 503 everywhere, 413 and 415 with a body, 409 with an idempotency key."""
    for _, method, operation in _operations(document):
        codes = {
            code
            for response in operation["responses"].values()
            for code in response["content"].get("application/problem+json", {}).get("examples", {})
        }
        assert {"unauthenticated", "forbidden", "unavailable"} <= codes
        if method == "post":
            assert "length_required" in codes
        if "requestBody" in operation:
            assert {"too_large", "wrong_content_type", "length_required", "invalid_input"} <= codes
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"]):
            assert "idempotency_mismatch" in codes


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda item: item.id)
def test_examples_are_what_the_models_accept(operation: Operation) -> None:
    """An example that does not validate teaches something wrong."""
    if operation.body is not None:
        operation.body.model_validate_json(json.dumps(operation.body_example), strict=True)
    operation.answer.model_validate_json(json.dumps(dict(operation.answer_example)))


def test_a_key_is_required_where_value_moves() -> None:
    """The contract: every POST that moves value needs an Idempotency-Key and has a dry run."""
    moving = [
        each for each in OPERATIONS if each.method == "POST" and each.path.endswith(MOVING_VALUE)
    ]
    for operation in moving:
        assert operation.key is KeyRule.REQUIRED
        assert operation.has_dry_run
    for end in MOVING_VALUE:  # one that nothing ends in would prove nothing
        assert any(operation.path.endswith(end) for operation in moving), end


def test_the_document_says_which_calls_refuse_without_a_key(document: dict[str, Any]) -> None:
    """Whoever generates a client from it would else learn that from a 400."""
    declared = {
        operation["operationId"]: parameter["required"]
        for _, _, operation in _operations(document)
        for parameter in operation["parameters"]
        if parameter["name"] == "Idempotency-Key"
    }
    assert declared == {
        each.id: each.key is KeyRule.REQUIRED for each in OPERATIONS if each.key is not KeyRule.NONE
    }
    assert declared["erasePerson"]
    assert not declared["createMember"]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.styles = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.add(values.get("id") or "")
        self.links += [
            value
            for name, value in attrs
            if value and name in ("href", "src") and value != "data:,"
        ]
        self.styles += tag in ("style", "script") or "style" in values


def test_the_page_shows_every_call_and_needs_nothing_from_elsewhere(api: Api) -> None:
    """Server-rendered, works under the content security policy, links lead somewhere."""
    answer = api.client.get("/api/docs")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert "'unsafe" not in answer.headers["Content-Security-Policy"]
    page = _Page()
    page.feed(answer.text)
    assert page.styles == 0
    assert {operation.id for operation in OPERATIONS} <= page.ids
    for link in page.links:
        assert link.startswith(("#", "/api/")), link
        if link.startswith("#"):
            assert link[1:] in page.ids, link
        else:
            with api.client.get(link) as linked:
                assert linked.status_code == 200, link


def test_every_code_the_calls_answer_is_explained(api: Api) -> None:
    """`type` of a problem leads to its explanation."""
    page = _Page()
    page.feed(api.client.get("/api/docs").text)
    for operation in OPERATIONS:
        for error in operation.all_problems():
            assert f"error-{error.code}" in page.ids
    assert f"error-{errors.WalletsvcError.code}" in page.ids
