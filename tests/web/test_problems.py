"""Errors as callers see them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from flask import Flask, abort, redirect
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError

from walletsvc import settings
from walletsvc.core.errors import (
    ConfigurationError,
    DuplicateMember,
    FieldError,
    InputError,
    Unauthenticated,
    Unavailable,
)
from walletsvc.web import i18n, logs, pages, problems


class _Model(BaseModel):
    amount: int


ERRORS: dict[str, Exception] = {
    "input": InputError("Two wrong.", (FieldError("a.b", "is odd", "odd"), FieldError("c", "d"))),
    "duplicate": DuplicateMember("Already.", card_id="abc", status=999, code="mine"),
    "auth": Unauthenticated("No key."),
    "config": ConfigurationError("WALLETSVC_SECRET_KEY is not the key of /var/lib/secret."),
    "unavailable": Unavailable("The queue rests."),
    "database": OperationalError("SELECT 1", {}, Exception("host db.internal refused")),
    "bug": ValueError("card 9047182036514928 broke at /srv/app.py"),
}


def make_app() -> Flask:
    """An app that fails in every way."""
    app = Flask("walletsvc.web")
    problems.install(app)

    def fail(name: str) -> ResponseReturnValue:
        if name == "schema":
            _Model.model_validate({"amount": "much"})
        if name == "redirect":
            return redirect("/elsewhere")
        if name.isdigit():
            abort(int(name))
        raise ERRORS[name]

    for number, start in enumerate(("/api/v1", "/apple/v1", "/page")):
        app.add_url_rule(f"{start}/<name>", f"fail{number}", fail)
    return app


@pytest.fixture
def stream() -> io.StringIO:
    """What is logged meanwhile."""
    target = io.StringIO()
    logs.configure("json", "debug", stream=target)
    return target


def _problem(path: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    answer = make_app().test_client().get(path)
    assert answer.mimetype == "application/problem+json"
    return answer.status_code, answer.get_json(), dict(answer.headers)


def test_an_error_carries_code_fields_and_request_id() -> None:
    """The members that callers rely on."""
    status, body, headers = _problem("/api/v1/input")
    assert status == body["status"] == 400
    assert body == {
        "type": "/api/docs#error-invalid_input",
        "title": "The request is not valid",
        "status": 400,
        "detail": "Two wrong.",
        "code": "invalid_input",
        "request_id": headers["X-Request-Id"],
        "errors": [
            {"field": "a.b", "message": "is odd", "code": "odd"},
            {"field": "c", "message": "d", "code": "invalid"},
        ],
    }


def test_data_is_added_and_never_replaces_a_member() -> None:
    """A program finds the card's id; nothing can forge the status."""
    status, body, _ = _problem("/api/v1/duplicate")
    assert (status, body["status"], body["code"], body["card_id"]) == (
        409,
        409,
        "duplicate_member",
        "abc",
    )


def test_a_schema_error_names_its_field() -> None:
    """Even when nobody turned it into words before."""
    status, body, _ = _problem("/api/v1/schema")
    assert (status, body["errors"][0]["field"]) == (400, "amount")


@pytest.mark.parametrize(("path", "scheme"), [("/api/v1", "Bearer"), ("/apple/v1", "ApplePass")])
def test_401_says_how_to_authenticate(path: str, scheme: str) -> None:
    """Each dialect has its own challenge."""
    status, _, headers = _problem(f"{path}/auth")
    assert status == 401
    assert headers["WWW-Authenticate"].startswith(scheme)


@pytest.mark.parametrize("name", ["bug", "config"])
def test_what_went_wrong_inside_stays_inside(stream: io.StringIO, name: str) -> None:
    """The caller gets a request id; the log gets the traceback under the same id."""
    status, body, _ = _problem(f"/api/v1/{name}")
    assert (status, body["code"]) == (500, "error")
    for word in ("9047", "/srv", "/var", "SECRET", "Traceback", "ValueError"):
        assert word not in json.dumps(body)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    failed = next(line for line in lines if line["event"] == "request failed")
    assert failed["request_id"] == body["request_id"]
    assert "Traceback" in failed["exception"]


@pytest.mark.parametrize("name", ["unavailable", "database"])
def test_a_part_that_does_not_answer_is_503_and_worth_a_retry(
    stream: io.StringIO, name: str
) -> None:
    """With Retry-After, and without the names of our machines."""
    status, body, headers = _problem(f"/api/v1/{name}")
    assert (status, body["code"]) == (503, "unavailable")
    assert headers["Retry-After"] == "2"
    assert "internal" not in json.dumps(body)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 406, 410, 414, 429, 431, 500, 501])
def test_every_http_error_has_a_code(stream: io.StringIO, status: int) -> None:
    """Flask's own errors speak the same language."""
    got, body, _ = _problem(f"/api/v1/{status}")
    assert got == body["status"] == status
    assert body["code"]


def test_a_redirect_is_no_error() -> None:
    """It passes untouched."""
    assert make_app().test_client().get("/api/v1/redirect").status_code == 302


@pytest.mark.parametrize(
    ("language", "word"), [("ru", "Такой страницы нет"), ("en-GB", "There is no such page")]
)
def test_people_get_a_page_in_their_language(language: str, word: str) -> None:
    """Outside the programs' addresses."""
    answer = make_app().test_client().get("/nope", headers={"Accept-Language": language})
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert word in answer.text
    assert answer.headers["X-Request-Id"] in answer.text


def test_the_page_stands_in_the_products_frame() -> None:
    """With the shared style sheet, and in the language chosen by hand."""
    app = make_app()
    i18n.install(app, settings.load())
    pages.install(app)
    answer = app.test_client().get("/nope?lang=en", headers={"Accept-Language": "ru"})
    assert "There is no such page" in answer.text
    assert "/assets/walletsvc.css" in answer.text


@pytest.mark.parametrize(
    ("status", "offered"), [("404", False), ("403", False), ("429", True), ("503", True)]
)
def test_a_page_is_asked_for_again_where_that_may_help(status: str, offered: bool) -> None:
    """And never where something was sent: that would be another request."""
    app = make_app()
    app.add_url_rule("/sent/<int:status>", "sent", lambda status: abort(status), methods=["POST"])
    client = app.test_client()
    headers = {"Accept-Language": "en"}
    assert (">Try again</a>" in client.get(f"/page/{status}", headers=headers).text) is offered
    sent = client.post(f"/sent/{status}", data={"a": "b"}, headers=headers)
    assert sent.status_code == int(status)
    assert ">Try again</a>" not in sent.text


def test_a_broken_page_tells_nothing(stream: io.StringIO) -> None:
    """The 500 page is as silent as the problem."""
    answer = make_app().test_client().get("/page/bug")
    assert answer.status_code == 500
    assert "9047" not in answer.text


def test_an_apps_own_error_page_is_used() -> None:
    """The composition root may bring another one."""
    app = Flask("walletsvc.web")
    problems.install(app, lambda problem, request_id: f"{problem.code}!")
    assert app.test_client().get("/nope").text == "not_found!"
