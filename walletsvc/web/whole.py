"""Answers handed to the server as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def whole(application: WSGIApplication) -> WSGIApplication:
    """The same application, whose answers are lists.

    Granian sends a list at once; what it has to iterate over goes piece by piece between its
    threads and Python's, which for a pass cost as much processor time as signing it. An answer
    that must be streamed has no place here: none of ours is.
    """

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = application(environ, start_response)
        try:
            return list(answer)
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()

    return call
