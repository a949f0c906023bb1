"""Refusals as Google words them: a status, a reason to branch on, and a message for people."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import orjson

Json = dict[str, Any]

_STATUS_WORDS: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        409: "ALREADY_EXISTS",
        413: "INVALID_ARGUMENT",
        429: "RESOURCE_EXHAUSTED",
        500: "INTERNAL",
        503: "UNAVAILABLE",
    }
)
WALLET: Final = "walletobjects"
GLOBAL: Final = "global"


class ApiError(Exception):
    """A refusal of the API; `violations` are (field, description) pairs of a malformed body."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        domain: str = WALLET,
        violations: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.domain = domain
        self.violations = violations

    def body(self) -> bytes:
        """The JSON of the answer."""
        error: Json = {
            "code": self.status,
            "message": self.message,
            "errors": [{"message": self.message, "domain": self.domain, "reason": self.reason}],
        }
        # Rules of the wallet come without a canonical status, those of the gateway with one.
        if self.domain == GLOBAL:
            error["status"] = _STATUS_WORDS.get(self.status, HTTPStatus(self.status).name)
        if self.violations:
            error["details"] = [
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "fieldViolations": [
                        {"field": field, "description": text} for field, text in self.violations
                    ],
                }
            ]
        return orjson.dumps({"error": error}, option=orjson.OPT_INDENT_2)


def invalid_resource(message: str) -> ApiError:
    """A body that is well formed and against a rule."""
    return ApiError(400, "invalidResource", message)


def malformed(field: str, text: str) -> ApiError:
    """A body that is not of the schema; `field` is the path of what is wrong."""
    return ApiError(400, "invalid", text, domain=GLOBAL, violations=((field, text),))


def permission_denied(message: str) -> ApiError:
    """The account may not do this for this issuer."""
    return ApiError(403, "permissionDenied", message)


def quota_exceeded(message: str) -> ApiError:
    """The allowance of notifications is spent."""
    return ApiError(403, "quotaExceeded", message)


def unauthenticated() -> ApiError:
    """No token, or one that is unknown, expired or revoked."""
    return ApiError(401, "authError", "Request had invalid authentication credentials.",
                    domain=GLOBAL)  # fmt: skip


def too_many_requests() -> ApiError:
    """Over the quota of requests."""
    return ApiError(
        429, "rateLimitExceeded", "Quota exceeded for quota metric 'API requests'.", domain=GLOBAL
    )


def no_such_path(method: str, path: str) -> ApiError:
    """Nothing is at this path for this method."""
    return ApiError(404, "notFound", f"Method not found: {method} {path}.", domain=GLOBAL)
