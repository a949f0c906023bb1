"""Log lines: for machines, and without anybody's secrets."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from walletsvc.web import logs

TOKEN = "mQ3fX0bT7yVh2KpLr9sWc4Ne8ZaUj6Dg"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the lines go."""
    target = io.StringIO()
    logs.configure("json", "info", stream=target)
    yield target
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/c/{TOKEN}", "/c/[redacted]"),
        (f"/c/{TOKEN}/history", "/c/[redacted]/history"),
        (f"//c//{TOKEN}", "//c//[redacted]"),
        (f"/C/{TOKEN}", "/C/[redacted]"),
        (f"/p/{TOKEN}.pkpass", "/p/[redacted].pkpass"),
        (f"/p/{TOKEN}", "/p/[redacted]"),
        (f"/p/{TOKEN}.pkpassx", "/p/[redacted]"),
        (f"/g/{TOKEN}", "/g/[redacted]"),
        (f"/apple/v1/devices/{TOKEN}/registrations/pass.a/b",
         "/apple/v1/devices/[redacted]/registrations/pass.a/b"),
        (f"/apple//v1/devices/{TOKEN}", "/apple//v1/devices/[redacted]"),
        ("/api/v1/cards/3h7k9m2p5r8t0v4x6z1b", "/api/v1/cards/3h7k9m2p5r8t0v4x6z1b"),
        ("/apple/v1/passes/pass.a/3h7k9m", "/apple/v1/passes/pass.a/3h7k9m"),
        ("/", "/"),
    ],
)  # fmt: skip
def test_token_bearing_paths_are_redacted(path: str, shown: str) -> None:
    """Every address that opens something, and no other."""
    assert logs.redact_path(path) == shown


def _fail(secret: str) -> None:
    raise ValueError(secret)


@pytest.mark.parametrize(
    "secret",
    [
        "wsk_" + TOKEN,
        "Bearer " + TOKEN,
        f"ApplePass {TOKEN}",
        "+79001234567",
        "89001234567",
        f"https://cards.example.test/c/{TOKEN}",
        "[parameters: {'e164': '12345'}]",
        "DETAIL:  Key (code)=(ABCD) already exists.",
    ],
)
def test_what_looks_like_a_secret_never_gets_out(stream: io.StringIO, secret: str) -> None:
    """In a message, a value, a list, a mapping, an exception; from us and from libraries."""
    log, told = structlog.get_logger("test"), f"failed for {secret}"
    log.info(told, where=secret, many=[secret], deep={"a": {"b": (secret,)}})
    logging.getLogger("library").warning("failed for %s", secret)
    try:
        _fail(secret)
    except ValueError:
        log.exception("broke")
        logging.getLogger("library").exception("broke")
    text = stream.getvalue()
    assert len(text.splitlines()) == 4
    for word in (TOKEN, "9001234567", "12345", "ABCD"):
        assert word not in text


def test_values_are_hidden_by_their_names(stream: io.StringIO) -> None:
    """Whatever a token looks like, it is called a token."""
    structlog.get_logger("test").info(
        "x", phone="1", auth_token="2", Authorization="3", code="4", nested={"push_token": "5"}
    )
    line = json.loads(stream.getvalue())
    hidden = (line["phone"], line["auth_token"], line["Authorization"], line["code"])
    assert set(hidden) | {line["nested"]["push_token"]} == {"[redacted]"}


def test_ordinary_values_are_left_alone(stream: io.StringIO) -> None:
    """Redaction that hides everything helps nobody."""
    values = {
        "card": "3h7k9m2p5r8t0v4x6z1b",
        "number": "9047182036514928",
        "at": "2026-11-20T09:30:00Z",
        "ms": 12.5,
        "count": 79001234567,
        "name": "Анна",
    }
    structlog.get_logger("test").info("done", **values)
    line = json.loads(stream.getvalue())
    assert {name: line[name] for name in values} == values


def test_a_line_is_json_with_level_logger_time_and_context(stream: io.StringIO) -> None:
    """Ours and a library's alike."""
    structlog.contextvars.bind_contextvars(request_id="abc")
    structlog.get_logger("ours").info("one")
    logging.getLogger("theirs").info("two %s", "x")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["logger"], line["level"]) for line in lines] == [
        ("one", "ours", "info"),
        ("two x", "theirs", "info"),
    ]
    assert all(line["request_id"] == "abc" and line["timestamp"].endswith("Z") for line in lines)


def test_the_level_is_kept_and_chatter_left_out(stream: io.StringIO) -> None:
    """Statements and polls are no news."""
    structlog.get_logger("test").debug("hidden")
    logging.getLogger("sqlalchemy.engine").info("SELECT 1")
    logging.getLogger("procrastinate.worker").info("polling")
    assert stream.getvalue() == ""


def test_warnings_are_logged(stream: io.StringIO) -> None:
    """Instead of appearing between the lines."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)  # pytest has a hook of its own in that place
        logs.configure("json", "info", stream=stream)
        warnings.warn("old thing", stacklevel=1)
    assert "old thing" in json.loads(stream.getvalue())["event"]


def test_people_can_read_them_too() -> None:
    """The console form has the same redaction."""
    target = io.StringIO()
    logs.configure("console", "info", stream=target)
    structlog.get_logger("test").info("hello", where=f"/c/{TOKEN}")
    assert "hello" in target.getvalue()
    assert TOKEN not in target.getvalue()


@pytest.mark.parametrize(
    "code",
    [
        "7KQM-3XRT-9WPA-G2HD",
        "7kqm-3xrt-9wpa-g2hd",
        "7KQM 3XRT 9WPA G2HD",
        "7KQM3XRT9WPAG2HD",
    ],
)
def test_a_certificates_code_in_free_text_is_hidden(code: str) -> None:
    """However it was written; ids and words stay readable."""
    assert logs.redact(f"no '{code}' here, {code}.") == "no '[redacted]' here, [redacted]."
    for plain in (
        "7kqm3xrt9wpag2hd4yvb",
        "123e4567-e89b-42d3-a456-426614174000",
        "WALLETSVC_DATABASE_URL",
        "2026-11-20T09:30:00Z",
    ):
        assert logs.redact(plain) == plain
