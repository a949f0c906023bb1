"""Headers of pages that are one person's: never kept, indexed, framed, or sent on as a referrer."""

from __future__ import annotations

from typing import Final

from flask import Response, make_response
from werkzeug.wrappers import Response as WsgiResponse

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
}
_SCRIPTED: Final = "; script-src 'self'; connect-src 'self'"


def private(
    page: str | WsgiResponse, status: int | None = None, *, script: bool = False
) -> Response:
    """The answer with these headers; with `script` it may run scripts of ours."""
    response = make_response(page) if status is None else make_response(page, status)
    response.headers.update(_HEADERS)
    if script:
        response.headers["Content-Security-Policy"] += _SCRIPTED
    return response
