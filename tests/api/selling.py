"""Calls of a till that sells."""

from __future__ import annotations

from typing import Any

from werkzeug.test import TestResponse

from tests.api.conftest import Api


def money(amount: int, currency: str = "RUB") -> dict[str, Any]:
    """As the interface writes it."""
    return {"amount": amount, "currency": currency}


def send(api: Api, path: str, body: dict[str, Any], **options: Any) -> TestResponse:
    """A call that moves value, with a key of its own unless one is given."""
    api.keys += 1
    headers = {"Idempotency-Key": options.pop("key", f"sale-{api.keys}")}
    return api.call("POST", path, json=body, headers=headers, **options)
