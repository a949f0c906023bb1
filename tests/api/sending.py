"""Bodies sent as they are."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Api

JSON = {"Content-Type": "application/json"}


def post(api: Api, path: str, raw: bytes, **headers: str) -> Any:
    everything = JSON | {"Idempotency-Key": "k"} | headers
    length = {"CONTENT_LENGTH": str(len(raw))}
    return api.call("POST", path, data=raw, headers=everything, environ_overrides=length)
