"""Forms that only our own pages may send."""

from __future__ import annotations

import time

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from flask_wtf.csrf import generate_csrf

from walletsvc.web import csrf, problems


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("walletsvc")
    app.secret_key = "a secret"
    problems.install(app)
    csrf.install(app)
    csrf.install(app)  # whoever comes second changes nothing
    pages = Blueprint("pages", __name__)
    csrf.protect(pages)
    pages.add_url_rule("/form", view_func=lambda: generate_csrf())
    pages.add_url_rule("/form", "send", lambda: "done", methods=["POST"])
    app.register_blueprint(pages)
    app.add_url_rule("/api/v1/x", "program", lambda: "done", methods=["POST"])
    return app.test_client()


def test_a_form_of_ours_is_taken(client: FlaskClient) -> None:
    """Also twice: a page may be sent again."""
    token = client.get("/form").text
    for _ in range(2):
        assert client.post("/form", data={"csrf_token": token}).text == "done"


def test_any_other_form_is_refused(client: FlaskClient) -> None:
    """Without a token, with a wrong one, with that of another session."""
    token = client.get("/form").text
    stranger = client.application.test_client()
    assert stranger.get("/form").text != token
    for sender, sent in ((client, ""), (client, "x"), (client, token[:-1]), (stranger, token)):
        answer = sender.post("/form", data={"csrf_token": sent})
        assert answer.status_code == 403


def test_a_token_ends(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some hours."""
    token = client.get("/form").text
    later = time.time() + csrf.LIFETIME.total_seconds() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    assert client.post("/form", data={"csrf_token": token}).status_code == 403


def test_programs_need_no_token(client: FlaskClient) -> None:
    """They have no session that another site could use."""
    assert client.post("/api/v1/x", data={"a": "b"}).text == "done"
