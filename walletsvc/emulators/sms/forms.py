"""The fields of a request, wherever its caller put them: query, form or JSON."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import orjson

from walletsvc.emulators.google.http import Request


def fields_of(request: Request) -> dict[str, str]:
    """All fields as text; the body goes before the query."""
    return {**request.query, **{name: str(value) for name, value in body_of(request).items()}}


def body_of(request: Request) -> dict[str, Any]:
    """The fields of the body, JSON or form; one that is neither has none."""
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            found = orjson.loads(request.body or b"{}")
        except orjson.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) else {}
    return dict(parse_qsl(request.body.decode("utf-8", "replace")))
