"""Calls of the REST interface that are answered in front of the web framework: whose address has
no parameters. Tills send most of them: scans, quotes, purchases, holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from werkzeug import Request

from walletsvc.api.blueprint import OPERATIONS
from walletsvc.api.dispatch import REPLAYED, respond
from walletsvc.api.operations import Operation
from walletsvc.web.context import Deps
from walletsvc.web.front import Answered, Finder, Way
from walletsvc.web.turns import Turns

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_ROOT: Final = "/api/v1"
_LENGTH: Final = re.compile(r"[0-9]{1,9}")


def finder(deps: Deps, turns: Turns) -> Finder:
    """What finds the operation of a request, unless its address has parameters or its body is not
    one that says how long it is and may be as long. Brief ones are answered in turn."""
    known = {
        (operation.method, _ROOT + operation.path): operation
        for operation in OPERATIONS
        if not operation.path_parameters
    }

    def find(environ: WSGIEnvironment) -> Way | None:
        path = environ["PATH_INFO"]
        operation = known.get((environ["REQUEST_METHOD"], path))
        if operation is None or not _body_is_plain(environ, operation):
            return None
        return Way(path, lambda: _answer(deps, operation, environ, turns))

    return find


def _body_is_plain(environ: WSGIEnvironment, operation: Operation) -> bool:
    given = environ.get("CONTENT_LENGTH") or ""
    if not operation.writes:
        return not given
    return bool(_LENGTH.fullmatch(given)) and int(given) <= operation.most_bytes


def _answer(deps: Deps, operation: Operation, environ: WSGIEnvironment, turns: Turns) -> Answered:
    request = Request(environ)
    if operation.brief:
        request.get_data(cache=True)  # a slow client has no turn
        with turns.next():
            done = respond(deps, operation, request, {})
    else:
        done = respond(deps, operation, request, {})
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(done.answer.body))),
    ]
    if done.replayed:
        headers.append((REPLAYED, "true"))
    return Answered(done.answer.status, headers, done.answer.body)
