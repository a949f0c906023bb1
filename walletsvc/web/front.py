"""Requests that are answered in front of the web framework.

Its routing, contexts and hooks cost as much as the work for the busiest requests. Everything told
or kept about an answer is what the framework's would be: log line, counts, request id, headers.
What is unusual, and every error, is the application's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from werkzeug import Request

from walletsvc.web import requests

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Where the application finds what went wrong here.
FAILED: Final = "walletsvc.failed"


class Answered(NamedTuple):
    """An answer. It has none of the headers that every answer bears."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Way(NamedTuple):
    """How a request is answered; `route` is what it counts as. None: the application answers."""

    route: str
    answer: Callable[[], Answered | None]


Finder = Callable[["WSGIEnvironment"], Way | None]
Count = Callable[[str, str, int, float], None]  # method, route, status, when it began


class Front:
    """A WSGI application in front of another."""

    def __init__(
        self,
        application: WSGIApplication,
        finders: Sequence[Finder],
        count: Count,
        *,
        https: bool = False,
    ) -> None:
        """`count` is told of each answer; `https`: the public address is https."""
        self._application = application
        self._finders = tuple(finders)
        self._count = count
        self._https = https

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        way = self._way(environ)
        if way is None:
            return self._application(environ, start_response)
        started = time.perf_counter()
        request_id = requests.begin(environ.get("HTTP_X_REQUEST_ID", ""))
        try:
            answered = way.answer()
        except Exception as error:  # noqa: BLE001 - the application answers each its own way
            environ[FAILED] = error
            answered = None
        if answered is None:
            environ[requests.STARTED] = started
            environ["HTTP_X_REQUEST_ID"] = request_id
            return self._application(environ, start_response)
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        requests.log_answer(method, path, answered.status, started)
        self._count(method, way.route, answered.status, started)
        https = self._https or environ["wsgi.url_scheme"] == "https"
        start_response(
            _status(answered.status),
            [*answered.headers, (requests.REQUEST_ID, request_id), *_common(way.route, https)],
        )
        return [answered.body]

    def _way(self, environ: WSGIEnvironment) -> Way | None:
        # Of what these mean the application knows the rules.
        if environ.get("HTTP_TRANSFER_ENCODING") or environ.get("SCRIPT_NAME"):
            return None
        for find in self._finders:
            way = find(environ)
            if way is not None:
                return way
        return None


def reraise(request: Request) -> None:
    """Raise what went wrong in front of the application, so that nothing is tried again."""
    failed = request.environ.get(FAILED)
    if failed is not None:
        raise failed


@cache
def _status(code: int) -> str:
    return f"{code} {HTTPStatus(code).phrase.upper()}"


@cache
def _common(route: str, https: bool) -> tuple[tuple[str, str], ...]:
    """The headers of all answers to a route, but for the request's id."""
    wanted = requests.headers(route, "", https=https)
    return tuple(item for item in wanted.items() if item[0] != requests.REQUEST_ID)
