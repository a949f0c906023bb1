"""Who may see how the service is doing: this machine, and whoever holds the metrics token."""

from __future__ import annotations

import hmac
from typing import Final

from flask import request
from pydantic import SecretStr

_LOOPBACK: Final = ("127.0.0.1", "::1")
# A reverse proxy on this machine is not the operator: it asks for somebody.
_FORWARDED: Final = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")


def is_insider(token: SecretStr | None) -> bool:
    """Whether the present request comes from this machine itself or bears the token."""
    return _asked_from_here() or (token is not None and _bears(token))


def _asked_from_here() -> bool:
    return request.remote_addr in _LOOPBACK and not any(
        name in request.headers for name in _FORWARDED
    )


def _bears(token: SecretStr) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # Compared in a time that does not depend on how much of it is right.
    return scheme.lower() == "bearer" and hmac.compare_digest(
        given.strip().encode(), token.get_secret_value().encode()
    )
