"""`/healthz`: the process answers. `/readyz`: it can do its work.

What exactly is wrong is told only to insiders: it would help a stranger choose a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import structlog
from flask import Blueprint, Response, jsonify
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError

from walletsvc.web.insiders import is_insider

log = structlog.get_logger(__name__)

class Findings(NamedTuple):
    """What is wrong and what soon will be, in words; the latter makes nothing "not ready"."""

    problems: list[str]
    warnings: list[str]


Examine = Callable[[], Findings]


def create(examine: Examine, token: SecretStr | None = None) -> Blueprint:
    """The blueprint. `token` lets others than this machine see the words."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @blueprint.get("/readyz")
    def readyz() -> Response:
        problems, warnings = _tried(examine)
        body: dict[str, object] = {"status": "not ready" if problems else "ready"}
        if is_insider(token):
            if problems:
                body["problems"] = problems
            if warnings:
                body["warnings"] = warnings
        response = jsonify(body)
        response.status_code = 503 if problems else 200
        return response

    return blueprint


def _tried(examine: Examine) -> Findings:
    try:
        return examine()
    except SQLAlchemyError:
        log.warning("a readiness check could not reach the database", exc_info=True)
        return Findings(["The database does not answer."], [])
