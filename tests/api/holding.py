"""Calls that reserve and take, as the tests of the API make them."""

from __future__ import annotations

from typing import Any

from werkzeug.test import TestResponse

from tests.api.conftest import Api
from walletsvc.merchants.models import Acceptance


def hold(api: Api, amount: int = 60, query: str = "", **body: Any) -> TestResponse:
    """Ask for a hold of a quarter of an hour."""
    api.keys += 1
    secret = body.pop("secret", None)
    given = {"amount": amount, "seconds": 900, "reason": "Receipt 4711", **body}
    headers = {"Idempotency-Key": f"hold-{api.keys}"}
    return api.call("POST", f"/holds{query}", json=given, headers=headers, secret=secret)


def capture(
    api: Api, hold_id: str, amount: int | None = None, query: str = "", **options: Any
) -> TestResponse:
    """Capture all of a hold or a part."""
    api.keys += 1
    key = options.pop("key", f"capture-{api.keys}")
    body = {} if amount is None else {"amount": amount}
    headers = {"Idempotency-Key": key}
    path = f"/holds/{hold_id}/capture{query}"
    return api.call("POST", path, json=body, headers=headers, **options)


def accept(api: Api, *, points: bool = True, certificates: bool = True) -> str:
    """The other shop accepts what the first issues; the secret of a key of it."""
    with api.database.write_tx() as session:
        session.add(
            Acceptance(
                issuer_id=api.shop.organisation.id,
                acceptor_id=api.other.organisation.id,
                points=points,
                certificates=certificates,
                created_at=api.now,
            )
        )
    return api.key(shop=api.other)


def code(answer: TestResponse) -> tuple[int, str]:
    """Status and code of a problem."""
    return answer.status_code, answer.get_json()["code"]


def balance(api: Api, card: str) -> int:
    """A card's balance."""
    return int(api.call("GET", f"/cards/{card}").get_json()["balance"])
