"""A shop that sells gift certificates over HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from werkzeug.test import TestResponse

from tests.api.conftest import Api

NOBODYS = "6NAP-GRVQ-629N-XNG5"


@dataclass
class Gifts:
    """The first shop issues; `partner` is a key of the other shop, which accepts."""

    api: Api
    partner: str
    till: str
    keys: int = field(default=0)

    def post(self, path: str, body: dict[str, Any], **options: Any) -> TestResponse:
        """With a fresh Idempotency-Key."""
        self.keys += 1
        headers = {"Idempotency-Key": options.pop("key", f"key-{self.keys}")}
        return self.api.call("POST", path, json=body, headers=headers, **options)

    def issue(self, amount: int = 300_000, **changes: Any) -> dict[str, Any]:
        """A new certificate as it was answered."""
        body = {"programme": "gift", "amount": amount, "reason": "Чек 1", **changes}
        answer = self.post("/certificates", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.get_json())

    def id(self, amount: int = 300_000, **changes: Any) -> str:
        """The id of a new certificate."""
        return str(self.issue(amount, **changes)["certificate"]["id"])

    def read(self, certificate: str) -> dict[str, Any]:
        """As its issuer sees it."""
        return dict(self.api.call("GET", f"/certificates/{certificate}").get_json())

    def look_up(self, code: str, **options: Any) -> TestResponse:
        """As a till does."""
        return self.api.call("POST", "/certificates/lookup", json={"code": code}, **options)
