"""Errors as callers see them: problem+json (RFC 9457) for programs, a page for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import structlog
from flask import Blueprint, Flask, Response, request
from pydantic import ValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from walletsvc.core.errors import FieldError, InputError, Unavailable, WalletsvcError
from walletsvc.web import json_body, requests
from walletsvc.web.error_page import render_page

log = structlog.get_logger(__name__)

CONTENT_TYPE: Final = "application/problem+json"
_PROGRAMS: Final = ("/api", "/apple", "/google", "/hooks", "/healthz", "/readyz", "/metrics")
_MEMBERS: Final = frozenset(
    ("type", "title", "status", "detail", "code", "errors", "request_id", "headers")
)
_SOON: Final = 2  # seconds, when nobody knows better
_WRONG: Final = "Something went wrong on our side; tell the operator the request id."
_HTTP_CODES: Final = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    411: "length_required",
    413: "too_large",
    414: "address_too_long",
    415: "wrong_content_type",
    429: "too_many_requests",
    431: "headers_too_large",
    500: "error",
    503: "unavailable",
}
_DETAILS: Final = {
    404: "There is nothing at this address.",
    405: "This address does not know this method.",
}


@dataclass(frozen=True)
class Problem:
    """An error ready to be shown; `data` holds further members for programs."""

    status: int
    code: str
    title: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """Where the code is explained, relative to the installation."""
        return f"/api/docs#error-{self.code}"

    def body(self, request_id: str) -> dict[str, Any]:
        """The members of problem+json."""
        whole: dict[str, Any] = {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        }
        if self.errors:
            whole["errors"] = [
                {"field": item.field, "message": item.message, "code": item.code}
                for item in self.errors
            ]
        return whole | {name: self.data[name] for name in self.data if name not in _MEMBERS}


ErrorPage = Callable[[Problem, str], str]


def install(app: Flask, page: ErrorPage | None = None) -> None:
    """Let the app answer every error, and give every request its id, log line and limits.

    `page` turns a problem and the request id into the HTML that people get outside the
    programs' addresses; without it there is a plain page in Russian or English.
    """
    requests.install(app)
    app.register_blueprint(Blueprint("problems", __name__, template_folder="templates"))

    def page_of(problem: Problem, request_id: str) -> str:
        return (page or _plain_page)(problem, request_id)

    def answer(error: Exception) -> Response | HTTPException:
        if isinstance(error, HTTPException) and (
            error.response is not None or (error.code or 500) < 400
        ):
            return error  # a redirect, or an answer somebody made on purpose
        problem = problem_of(error)
        if problem.status >= 500:
            log.error("request failed", problem=problem.code, exc_info=error)
        return _respond(problem, page_of)

    app.register_error_handler(Exception, answer)


def problem_of(error: Exception) -> Problem:
    """What may be told about an error. Of unforeseen ones, nothing but that they happened."""
    match error:
        case WalletsvcError() if error.status < 500 or isinstance(error, Unavailable):
            fields = error.fields if isinstance(error, InputError) else ()
            return Problem(
                error.status,
                error.code,
                error.title,
                error.detail,
                fields,
                error.data,
                _headers(error.status, error.retryable, error.data.get("retry_after")),
            )
        case ValidationError():
            return problem_of(json_body.invalid(error))
        case HTTPException():
            return _of_http(error)
        case OperationalError() | InterfaceError() | PoolTimeout():
            return problem_of(Unavailable("The database does not answer; try again shortly."))
        case _:
            return Problem(500, "error", WalletsvcError.title, _WRONG)


def _of_http(error: HTTPException) -> Problem:
    status = error.code or 500
    names = ("allow", "retry-after", "www-authenticate")
    headers = {n: v for n, v in error.get_headers() if n.lower() in names}
    code = _HTTP_CODES.get(status, f"http_{status}")
    told = _DETAILS.get(status) or error.description or error.name
    detail = _WRONG if status >= 500 else told
    return Problem(
        status, code, error.name.capitalize(), detail, headers=_headers(status) | headers
    )


def _headers(
    status: int, retryable: bool = False, retry_after: int | None = None
) -> dict[str, str]:
    headers = {}
    if status == 401:
        apple = request.path.startswith("/apple/")
        headers["WWW-Authenticate"] = "ApplePass" if apple else 'Bearer realm="walletsvc"'
    if retryable:
        headers["Retry-After"] = str(_SOON if retry_after is None else retry_after)
    return headers


def for_programs(path: str) -> bool:
    """Whether a program asks here, which wants problem+json rather than a page."""
    return any(path == start or path.startswith(f"{start}/") for start in _PROGRAMS)


def _plain_page(problem: Problem, request_id: str) -> str:
    return render_page(problem.status, request_id)


def _respond(problem: Problem, page: ErrorPage) -> Response:
    request_id = requests.request_id()
    if for_programs(request.path):
        body = orjson.dumps(problem.body(request_id), default=str)
        response = Response(body, problem.status, content_type=CONTENT_TYPE)
    else:
        response = Response(page(problem, request_id), problem.status, mimetype="text/html")
    response.headers.update(problem.headers)
    return response
