"""Google's root keys: fetched when needed, kept while good, never asked for by forgers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.conftest import NOW
from tests.google.signing import Google
from walletsvc.cli.doctor import reach
from walletsvc.core.errors import Unavailable
from walletsvc.google.root_keys import PATH, RootKeys


class KeyServer:
    """Where Google publishes its keys; counts who asks, and may fail."""

    def __init__(self) -> None:
        self.google = Google(NOW)
        self.document: Any = self.google.published()
        self.headers: dict[str, str] = {}
        self.status = 200
        self.missing = 0  # so many bytes of the answer do not come
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body = json.dumps(outer.document).encode()
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) + outer.missing))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def server() -> Iterator[KeyServer]:
    made = KeyServer()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Time:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_keys_are_fetched_once(server: KeyServer) -> None:
    """And from where Google has them."""
    keys = RootKeys(server.url, Time())
    for _ in range(5):
        assert len(keys.valid()) == 1
    assert server.asked == [PATH]


def test_many_at_once_fetch_once(server: KeyServer) -> None:
    """The others wait for what the first one brings."""
    keys = RootKeys(server.url, Time())
    with ThreadPoolExecutor(8) as pool:
        assert all(len(found) == 1 for found in pool.map(lambda _: keys.valid(), range(8)))
    assert len(server.asked) == 1


def test_keys_are_renewed_when_google_says_so(server: KeyServer) -> None:
    """`max-age`, but at least ten minutes and at most a day."""
    time = Time()
    server.headers["Cache-Control"] = "public, max-age=7200"
    keys = RootKeys(server.url, time)
    keys.valid()
    time.now += timedelta(seconds=7199)
    keys.valid()
    assert len(server.asked) == 1
    time.now += timedelta(seconds=1)
    server.headers["Cache-Control"] = "max-age=0"
    keys.valid()
    time.now += timedelta(minutes=9)
    keys.valid()
    assert len(server.asked) == 2


def test_keys_are_renewed_when_one_expires(server: KeyServer) -> None:
    """Google publishes the next one in time."""
    time = Time()
    server.document = server.google.published(days=0.5)
    keys = RootKeys(server.url, time)
    old = keys.valid()
    time.now += timedelta(days=0.5)
    server.document = server.google.published(days=9)
    assert keys.valid() != old
    assert len(server.asked) == 2


def test_keys_that_are_good_outlive_a_failure(server: KeyServer) -> None:
    """But no key outlives its expiry, and Google is asked twice a minute at most."""
    time = Time()
    keys = RootKeys(server.url, time)
    server.document = server.google.published(days=2)
    keys.valid()
    server.status = 500
    time.now += timedelta(days=1, hours=1)
    assert len(keys.valid()) == 1
    assert len(keys.valid()) == 1
    assert len(server.asked) == 2
    time.now += timedelta(days=1)
    for _ in range(3):
        with pytest.raises(Unavailable):
            keys.valid()
    assert len(server.asked) == 3
    server.status = 200
    server.document = server.google.published()
    time.now += timedelta(seconds=31)
    assert len(keys.valid()) == 1


@pytest.mark.parametrize("document", [{}, [], {"keys": []}, {"keys": [{}]}, "keys"])
def test_a_document_without_keys_does_not_replace_those_there_are(
    server: KeyServer, document: Any
) -> None:
    """A page of somebody's proxy is no news of Google's."""
    time = Time()
    keys = RootKeys(server.url, time)
    keys.valid()
    server.document = document
    time.now += timedelta(days=1, hours=1)
    assert len(keys.valid()) == 1
    assert len(server.asked) == 2


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
def test_keys_that_are_good_outlive_an_answer_that_breaks_off(
    server: KeyServer, headers: dict[str, str]
) -> None:
    """Or is not encoded as it says."""
    time = Time()
    keys = RootKeys(server.url, time)
    found = keys.valid()
    server.missing, server.headers = (0 if headers else 1000), headers
    time.now += timedelta(days=1, hours=1)
    assert keys.valid() == found
    assert len(server.asked) == 2
    said = reach.ask(server.url)
    assert (said.status, said.error[:15]) == (None, "nothing answers")


def test_nobody_there() -> None:
    """Then callbacks cannot be believed, and Google will try again."""
    with pytest.raises(Unavailable):
        RootKeys("http://127.0.0.1:9", Time()).valid()
