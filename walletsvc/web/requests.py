"""What happens to every request: an id, a log line, limits on its body, security headers."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
from flask import Flask, Request, Response, current_app, g, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from pydantic import BaseModel
from werkzeug import Request as AnyRequest

from walletsvc.core.errors import LengthRequired, NotFound, TooLarge, WrongContentType
from walletsvc.core.ids import public_id
from walletsvc.web import json_body
from walletsvc.web.logs import redact_path

log = structlog.get_logger("walletsvc.request")
_written: Final = logging.getLogger("walletsvc.request")  # asked first: binding costs more

MAX_BODY: Final = 1024 * 1024
REQUEST_ID: Final = "X-Request-Id"
_BODY_METHODS: Final = ("POST", "PUT", "PATCH")
# In the WSGI environment: when a request began that somebody in front of the app had first.
STARTED: Final = "walletsvc.started"

_INSTALLED: Final = "walletsvc.requests"
_MOST: Final = "walletsvc_most_bytes"
Model = TypeVar("Model", bound=BaseModel)
View = TypeVar("View", bound=Callable[..., Response])
_SANE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_QUIET: Final = ("/healthz", "/readyz", "/metrics")
_PROGRAMS: Final = ("/apple/", "/google/", "/hooks/", "/api/v1/", "/p/", *_QUIET)
_TOKEN_PAGES: Final = ("/c/", "/p/", "/g/")
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=()",
}


def install(app: Flask, *, https: bool = False) -> None:
    """Make this happen to every request of the app; `https`: its public address is https."""
    if _INSTALLED in app.extensions:
        return
    app.extensions[_INSTALLED] = https
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    # An address with a double slash is another address: no redirect that would carry it on.
    app.url_map.merge_slashes = False
    app.session_interface = _PagesOnly()
    app.before_request(_begin)
    app.after_request(_end)


def allow_body(view: View, most: int) -> View:
    """Let the bodies of this view's requests have up to so many bytes."""
    setattr(view, _MOST, most)
    return view


class _PagesOnly(SecureCookieSessionInterface):
    """Sessions belong to people's pages: phones and programs send no cookie and get none."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if request.path.startswith(_PROGRAMS):
            return None
        return super().open_session(app, request)


def request_id() -> str:
    """The id of the present request: the caller's when sane, otherwise ours."""
    if "request_id" not in g:
        g.request_id = _sane_or_new(request.headers.get(REQUEST_ID, ""))
    return str(g.request_id)


def _sane_or_new(given: str) -> str:
    return given if _SANE_ID.fullmatch(given) else public_id()


def begin(given_id: str) -> str:
    """Begin a request that is answered in front of the app: log lines bear its id, returned."""
    found = _sane_or_new(given_id)
    _bind(found)
    return found


def _bind(found: str) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=found)


def read_json(model: type[Model]) -> Model:
    """The body as `model`, parsed strictly.

    Raises WrongContentType, or InputError with one error for each thing wrong.
    """
    return parse_json(request, request.get_data(cache=True), model)


def parse_json(asked: AnyRequest, raw: bytes, model: type[Model]) -> Model:
    """The same for the body of a request that has been read already."""
    charset = asked.mimetype_params.get("charset", "utf-8").lower()
    if asked.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
        raise WrongContentType("The body must be JSON: send 'Content-Type: application/json'.")
    return json_body.parse(raw, model)


def _begin() -> None:
    _bind(request_id())
    g.started = request.environ.get(STARTED) or time.perf_counter()
    if "\0" in request.path:
        # No identifier holds one, and PostgreSQL takes none, not even to look for it.
        raise NotFound("There is nothing at this address.")
    _check_length()


def _check_length() -> None:
    # The server cuts a chunked body at its limit without a word, so half a request would be
    # taken for a whole one: only bodies that say how long they are get in.
    given = request.environ.get("CONTENT_LENGTH") or ""
    length = int(given) if _LENGTH.fullmatch(given) else None
    # In HTTP/1 neither header is no body at all (RFC 9112, 6.3), as `curl -X POST` sends it; in
    # HTTP/2 a body may come all the same.
    chunked = "Transfer-Encoding" in request.headers
    framed = not request.environ["SERVER_PROTOCOL"].startswith("HTTP/1")
    unsaid = bool(given) or (framed and request.method in _BODY_METHODS)
    if chunked or (length is None and unsaid):
        raise LengthRequired("Send the body with Content-Length, not in chunks.")
    view = current_app.view_functions.get(request.endpoint or "")
    most = getattr(view, _MOST, MAX_BODY)
    if length is not None and length > most:
        raise TooLarge(f"The body may be at most {most} bytes long.", limit=most)
    if most > MAX_BODY:
        request.max_content_length = most


def headers(path: str, request_id: str, *, https: bool) -> dict[str, str]:
    """The headers that every answer bears unless it has its own."""
    private = path.startswith(_TOKEN_PAGES)
    wanted = {
        **_HEADERS,
        REQUEST_ID: request_id,
        "Referrer-Policy": "no-referrer" if private else "same-origin",
    }
    if https:
        wanted["Strict-Transport-Security"] = "max-age=31536000"
    if path.startswith("/api/v1"):
        wanted["Cache-Control"] = "no-store"
    return wanted


def _end(response: Response) -> Response:
    path = request.path
    https = request.is_secure or current_app.extensions[_INSTALLED]
    wanted = headers(path, request_id(), https=https)
    # Looked through once: asked header by header, a fast answer spends a third of its time here.
    present = {name.lower() for name, _ in response.headers}
    for name, value in wanted.items():
        if name.lower() not in present:
            response.headers.add(name, value)
    log_answer(request.method, path, response.status_code, g.get("started"))
    return response


def log_answer(method: str, path: str, status: int, started: float | None) -> None:
    """The log line of an answer; `started` is what `time.perf_counter` said then."""
    level = logging.DEBUG if path in _QUIET else logging.INFO
    if not _written.isEnabledFor(level):
        return
    log.log(
        level,
        "request",
        method=method[:16],
        path=redact_path(path[:500]),
        status=status,
        ms=round((time.perf_counter() - started) * 1000, 1) if started is not None else None,
    )
