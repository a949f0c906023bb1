"""`/healthz`: the process answers. `/readyz`: it can do its work.

What exactly is wrong is told only to this machine: it would help a stranger choose a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from flask import Blueprint, Response, jsonify, request
from sqlalchemy.exc import SQLAlchemyError

log = structlog.get_logger(__name__)

Check = Callable[[], list[str]]
_LOOPBACK = ("127.0.0.1", "::1")


def create(checks: Sequence[Check], warnings: Sequence[Check] = ()) -> Blueprint:
    """The blueprint; each check returns its problems in words, none when all is well.

    What the `warnings` say does not make the answer "not ready".
    """
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @blueprint.get("/readyz")
    def readyz() -> Response:
        problems = _run(checks)
        body: dict[str, object] = {"status": "not ready" if problems else "ready"}
        if _asked_from_here():
            if problems:
                body["problems"] = problems
            if said := _run(warnings):
                body["warnings"] = said
        response = jsonify(body)
        response.status_code = 503 if problems else 200
        return response

    return blueprint


def _run(checks: Sequence[Check]) -> list[str]:
    problems: list[str] = []
    for check in checks:
        try:
            problems += check()
        except SQLAlchemyError:
            log.warning("a readiness check could not reach the database", exc_info=True)
            return [*problems, "The database does not answer."]
    return problems


def _asked_from_here() -> bool:
    return request.remote_addr in _LOOPBACK and "X-Forwarded-For" not in request.headers
