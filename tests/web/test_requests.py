"""What happens to every request."""

from __future__ import annotations

import io
import re

import pytest
from flask import Flask, request

from walletsvc.web import problems, requests


def make_app(*, https: bool = False) -> Flask:
    """An app with one address that tells what it received."""
    app = Flask("walletsvc.web")
    requests.install(app, https=https)
    problems.install(app)
    app.add_url_rule(
        "/api/echo",
        view_func=lambda: str(len(request.get_data())),
        endpoint="echo",
        methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
    )
    app.add_url_rule("/c/<token>", view_func=lambda token: token[:0], endpoint="page")
    return app


@pytest.mark.parametrize("given", ["abcdefgh", "0f3c9a52-6d0b-4b7e-9f0e-7d1f6a2b8c11", "a.b_c-d12"])
def test_a_sane_request_id_is_kept(given: str) -> None:
    """So that a caller finds its own call in our logs."""
    answer = make_app().test_client().get("/api/echo", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, "a b c d e f", "<script>alert(1)", "é" * 9]
)
def test_any_other_request_id_is_replaced(given: str) -> None:
    """Nobody writes into our logs what they like."""
    answer = make_app().test_client().get("/api/echo", headers={"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-z]{20}", answer.headers["X-Request-Id"])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_body_needs_a_length(method: str) -> None:
    """Chunked, or of no sane length: 411, for the server would cut such a body without a word."""
    client = make_app().test_client()
    for length in ("-1", "1e3", "many", "١"):
        odd = {"CONTENT_LENGTH": length}
        answer = client.open("/api/echo", method=method, data=b"x", environ_overrides=odd)
        assert answer.status_code == 411, length
    for verb in (method, "GET", "DELETE"):
        answer = client.open(
            "/api/echo", method=verb, data=b"x", headers={"Transfer-Encoding": "chunked"}
        )
        assert answer.status_code == 411
    assert client.open("/api/echo", method=method, data=b"x").text == "1"
    empty = {"CONTENT_LENGTH": "0"}
    assert client.open("/api/echo", method=method, environ_overrides=empty).text == "0"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("headers", [{}, {"CONTENT_LENGTH": ""}])
def test_no_length_and_no_chunks_is_no_body(method: str, headers: dict[str, str]) -> None:
    """As `curl -X POST` sends it; what may follow on the line is not read as a body."""
    client = make_app().test_client()
    answer = client.open("/api/echo", method=method, environ_overrides=headers)
    assert (answer.status_code, answer.text) == (200, "0")
    line = {**headers, "wsgi.input": io.BytesIO(b"GET / HTTP/1.1")}
    assert client.open("/api/echo", method=method, environ_overrides=line).text == "0"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_http_2_needs_a_length(method: str) -> None:
    """There a body may come without either header."""
    framed = {"SERVER_PROTOCOL": "HTTP/2", "wsgi.input_terminated": True}
    answer = (
        make_app()
        .test_client()
        .open(
            "/api/echo", method=method, environ_overrides=framed | {"wsgi.input": io.BytesIO(b"x")}
        )
    )
    assert answer.status_code == 411
    told = framed | {"CONTENT_LENGTH": "1", "wsgi.input": io.BytesIO(b"x")}
    answer = make_app().test_client().open("/api/echo", method=method, environ_overrides=told)
    assert answer.text == "1"


def test_without_a_body_no_length_is_needed() -> None:
    """Wallet's DELETE has none."""
    client = make_app().test_client()
    assert client.get("/api/echo").status_code == 200
    assert client.delete("/api/echo").status_code == 200


def test_the_limit_is_one_mebibyte() -> None:
    """Up to it everything arrives, above it nothing is read."""
    client = make_app().test_client()
    assert client.post("/api/echo", data=b"x" * 2**20).text == str(2**20)
    answer = client.post("/api/echo", data=b"x" * (2**20 + 1))
    assert (answer.status_code, answer.get_json()["limit"]) == (413, 2**20)
    for length in ("9" * 18, "9" * 30):
        odd = {"CONTENT_LENGTH": length}
        assert client.post("/api/echo", environ_overrides=odd).status_code in (411, 413)


def test_security_headers_are_on_every_answer() -> None:
    """On pages and on errors alike; HSTS only where the address is https."""
    client = make_app().test_client()
    for path in ("/api/echo", "/api/nope", "/nope"):
        headers = client.get(path).headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "Strict-Transport-Security" not in headers
    assert client.get("/c/token").headers["Referrer-Policy"] == "no-referrer"
    secure = make_app(https=True).test_client().get("/api/echo")
    assert "max-age" in secure.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(
    "path",
    ["//", "//api/echo", "/api//echo", "/%00", "/%ff%fe", "/api/%2e%2e/echo", "/" + "a" * 9000,
     "/a%2fb", "/api/echo%00", "/%c0%af", "/ +", "/{{7*7}}", "/\u202e"],
)  # fmt: skip
def test_odd_paths_are_not_found(path: str) -> None:
    """No redirect and no crash."""
    assert make_app().test_client().get(path).status_code == 404


@pytest.mark.parametrize("host", ["", "a b", "é", "x" * 5000, "[::1", "a:b:c", "evil/path", "\x00"])
def test_odd_hosts_do_no_harm(host: str) -> None:
    """Whatever calls itself a host."""
    odd = {"HTTP_HOST": host}
    assert make_app().test_client().get("/api/echo", environ_overrides=odd).status_code < 500
