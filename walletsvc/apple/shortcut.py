"""Phones that fetch their passes, answered in front of the web framework.

A request for a pass is one statement and one signature. What is not plainly a pass asked for, and a
pass that must be published first, is the application's.
"""

from __future__ import annotations

import re
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from walletsvc.apple.serving import MEDIA_TYPE, Answer, Caller, Serving
from walletsvc.web.front import Answered, Way

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ROUTE: Final = "/apple/v1/passes/<pass_type>/<serial>"

_PASSES: Final = "/apple/v1/passes/"
_PATH: Final = re.compile(_PASSES + r"([A-Za-z0-9._-]{1,255})/([A-Za-z0-9._-]{1,255})")
# A request that has any of these is not what phones send: the application knows its rules.
_UNUSUAL: Final = ("QUERY_STRING", "CONTENT_LENGTH", "HTTP_RANGE")
# More at once only take the interpreter from each other, at every wait for the database; with two,
# one computes while the other waits.
_AT_ONCE: Final = 2


class Shortcut:
    """Finds requests for passes."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._permits: SimpleQueue[None] = SimpleQueue()
        for _ in range(_AT_ONCE):
            self._permits.put(None)

    def __call__(self, environ: WSGIEnvironment) -> Way | None:
        """How the pass is answered, if that is what is asked for."""
        match = _PATH.fullmatch(environ["PATH_INFO"])
        if match is None or environ["REQUEST_METHOD"] != "GET" or any(map(environ.get, _UNUSUAL)):
            return None
        return Way(ROUTE, lambda: self._answer(match[1], match[2], environ))

    def _answer(self, pass_type: str, serial: str, environ: WSGIEnvironment) -> Answered | None:
        caller = Caller(
            authorization=environ.get("HTTP_AUTHORIZATION", ""),
            if_none_match=environ.get("HTTP_IF_NONE_MATCH", ""),
            if_modified_since=environ.get("HTTP_IF_MODIFIED_SINCE", ""),
            agent=environ.get("HTTP_USER_AGENT", ""),
        )
        self._permits.get()
        try:
            found = self._serving.opened(pass_type, serial, caller.authorization)
            if not self._serving.is_current(found):
                return None
            return _answered(self._serving.answer(found, caller))
        finally:
            self._permits.put(None)


def _answered(answer: Answer) -> Answered:
    headers = answer.headers
    if answer.status == 200:
        headers += [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(answer.body)))]
    else:
        # Of a copy that is still right nothing is described (RFC 9110, 15.4.5).
        headers = [item for item in headers if item[0] != "Last-Modified"]
    return Answered(answer.status, headers, answer.body)
