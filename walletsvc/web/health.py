"""`/healthz`: the process answers. `/readyz`: it can do its work.

What exactly is wrong is told only to insiders: it would help a stranger choose a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from flask import Blueprint, Response, jsonify
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError

from walletsvc.web.insiders import is_insider

log = structlog.get_logger(__name__)

Check = Callable[[], list[str]]


def create(
    checks: Sequence[Check],
    warnings: Sequence[Check] = (),
    token: SecretStr | None = None,
) -> Blueprint:
    """The blueprint; each check returns its problems in words, none when all is well.

    What the `warnings` say does not make the answer "not ready". `token` lets others than this
    machine see the words.
    """
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @blueprint.get("/readyz")
    def readyz() -> Response:
        problems = _run(checks)
        body: dict[str, object] = {"status": "not ready" if problems else "ready"}
        if is_insider(token):
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
