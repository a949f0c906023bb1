"""`/healthz`: the process answers. `/readyz`: it can do its work.

What exactly is wrong is told only to insiders: it would help a stranger choose a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog
from flask import Blueprint, Response, jsonify
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError

from walletsvc.core.clock import Clock
from walletsvc.web.insiders import is_insider

log = structlog.get_logger(__name__)


class Findings(NamedTuple):
    """What is wrong and what soon will be, in words; the latter makes nothing "not ready"."""

    problems: list[str]
    warnings: list[str]


Examine = Callable[[], Findings]


# An examination reads keys and verifies chains, and anybody may ask for one.
_KEEP: Final = timedelta(seconds=2)


def create(examine: Examine, clock: Clock, token: SecretStr | None = None) -> Blueprint:
    """The blueprint. `token` lets others than this machine see the words.

    What was found is told for two seconds to whoever asks this process.
    """
    blueprint = Blueprint("health", __name__)
    latest = _Latest(examine, clock)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @blueprint.get("/readyz")
    def readyz() -> Response:
        problems, warnings = latest.findings()
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


class _Latest:
    """The findings of the newest examination; one at a time, however many ask."""

    def __init__(self, examine: Examine, clock: Clock) -> None:
        self._examine = examine
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[datetime, Findings] | None = None

    def findings(self) -> Findings:
        with self._lock:
            now = self._clock()
            # A clock that was set back must not keep them.
            if self._kept is None or abs(now - self._kept[0]) >= _KEEP:
                self._kept = (now, self._tried())
            return self._kept[1]

    def _tried(self) -> Findings:
        try:
            return self._examine()
        except SQLAlchemyError:
            log.warning("a readiness check could not reach the database", exc_info=True)
            return Findings(["The database does not answer."], [])
