"""Answers as lists."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask, Response
from werkzeug.test import create_environ, run_wsgi_app

from walletsvc.web.whole import whole


def test_an_answer_is_a_list_and_what_made_it_is_closed() -> None:
    """Whatever the application does when an answer ends happens before the server sends it."""
    ended = []
    app = Flask("test")
    app.teardown_request(lambda _: ended.append("request"))

    @app.get("/")
    def index() -> Response:
        response = Response("body")
        response.call_on_close(lambda: ended.append("answer"))
        return response

    answer = whole(app)(create_environ("/"), lambda *_: lambda _: None)
    assert answer == [b"body"]
    assert sorted(ended) == ["answer", "request"]
    assert run_wsgi_app(whole(app), create_environ("/nothing"))[1].startswith("404")


def test_an_answer_that_breaks_is_closed_too() -> None:
    """The error goes on to the server."""
    closed = []

    class Broken:
        def __iter__(self) -> Iterator[bytes]:
            raise ValueError("broken")

        def close(self) -> None:
            closed.append(True)

    with pytest.raises(ValueError, match="broken"):
        whole(lambda *_: Broken())(create_environ("/"), lambda *_: lambda _: None)
    assert closed == [True]
