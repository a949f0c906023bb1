"""Phones that fetch their passes, answered in front of the web framework.

A request for a pass is one statement and one signature; routing, contexts and hooks of the
framework would cost as much again. Everything told or kept about an answer is what the
framework's would be: log line, counts, request id, headers. What is not plainly a pass asked
for, every error, and a pass that must be published first, is the application's.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from functools import cache
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from walletsvc.apple.serving import MEDIA_TYPE, Answer, Caller, Serving
from walletsvc.jobs.counter_buffer import CounterBuffer
from walletsvc.web import requests, traffic

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROUTE: Final = "/apple/v1/passes/<pass_type>/<serial>"
# Where the application finds what went wrong here, so that nothing is tried a second time.
FAILED: Final = "walletsvc.failed"

_PASSES: Final = "/apple/v1/passes/"
_PATH: Final = re.compile(_PASSES + r"([A-Za-z0-9._-]{1,255})/([A-Za-z0-9._-]{1,255})")
# A request that has any of these is not what phones send: the application knows its rules.
_UNUSUAL: Final = ("QUERY_STRING", "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_RANGE")
# More at once only take the interpreter from each other, at every wait for the database; with two,
# one computes while the other waits.
_AT_ONCE: Final = 2
_STATUS: Final = {200: "200 OK", 304: "304 NOT MODIFIED"}


class Shortcut:
    """A WSGI application in front of another."""

    def __init__(
        self,
        application: WSGIApplication,
        serving: Serving,
        counted: CounterBuffer,
        *,
        https: bool = False,
    ) -> None:
        """`https`: the public address is https."""
        self._application = application
        self._serving = serving
        self._counted = counted
        self._https = https
        self._permits: SimpleQueue[None] = SimpleQueue()
        for _ in range(_AT_ONCE):
            self._permits.put(None)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match = _PATH.fullmatch(environ["PATH_INFO"])
        if (
            match is None
            or environ["REQUEST_METHOD"] != "GET"
            or any(map(environ.get, _UNUSUAL))
            or environ.get("SCRIPT_NAME")
        ):
            return self._application(environ, start_response)
        started = time.perf_counter()
        request_id = requests.begin(environ.get("HTTP_X_REQUEST_ID", ""))
        caller = Caller(
            authorization=environ.get("HTTP_AUTHORIZATION", ""),
            if_none_match=environ.get("HTTP_IF_NONE_MATCH", ""),
            if_modified_since=environ.get("HTTP_IF_MODIFIED_SINCE", ""),
            agent=environ.get("HTTP_USER_AGENT", ""),
        )
        self._permits.get()
        try:
            found = self._serving.opened(match[1], match[2], caller.authorization)
            if self._serving.is_current(found):
                answer = self._serving.answer(found, caller)
                headers = self._headers(answer, environ, request_id)
                requests.log_answer("GET", match[0], answer.status, started)
                traffic.count(self._counted, "GET", ROUTE, answer.status, started)
                start_response(_STATUS[answer.status], headers)
                return [answer.body]
        except Exception as error:  # noqa: BLE001 - the application answers each its own way
            environ[FAILED] = error
        finally:
            self._permits.put(None)
        environ[requests.STARTED] = started
        environ["HTTP_X_REQUEST_ID"] = request_id
        return self._application(environ, start_response)

    def _headers(
        self, answer: Answer, environ: WSGIEnvironment, request_id: str
    ) -> list[tuple[str, str]]:
        headers = answer.headers
        if answer.status == 200:
            headers += [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(answer.body)))]
        else:
            # Of a copy that is still right nothing is described (RFC 9110, 15.4.5).
            headers = [item for item in headers if item[0] != "Last-Modified"]
        https = self._https or environ["wsgi.url_scheme"] == "https"
        # An answer here has none of those that every answer bears.
        return [*headers, (requests.REQUEST_ID, request_id), *_common(https)]


@cache
def _common(https: bool) -> tuple[tuple[str, str], ...]:
    """The headers that all passes are answered with, but for the request's id."""
    wanted = requests.headers(_PASSES, "", https=https)
    return tuple(item for item in wanted.items() if item[0] != requests.REQUEST_ID)
