"""Nothing secret in the logs of a whole registration, nor in any answer but the owner's."""

from __future__ import annotations

import io
import json

import pytest

from tests.api.conftest import ANNA, Api
from walletsvc.web import logs


@pytest.fixture
def stream() -> io.StringIO:
    """Everything that is logged, down to debug."""
    target = io.StringIO()
    logs.configure("json", "debug", stream=target)
    return target


def test_a_registration_leaves_no_secret_in_the_logs(api: Api, stream: io.StringIO) -> None:
    """Register, conflict, adjust, replay, refuse, fail: no phone, name, token or key."""
    member = api.member()
    card = member["card"]["id"]
    token = member["page_url"].rpartition("/")[2]
    api.call("POST", "/members", json=ANNA)
    api.call("POST", "/members", json=ANNA | {"phone": "+7 900 123-45-6"})
    api.adjust(card, 10, key="my-idempotency-key")
    api.adjust(card, 10, key="my-idempotency-key")
    api.adjust(card, -100)
    api.call("GET", f"/cards/{card}", secret="wsk_" + "x" * 32)
    api.client.get(f"/c/{token}")
    api.client.get(f"/p/{token}.pkpass")
    text = stream.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len([line for line in lines if line["event"] == "request"]) == 9
    for secret in (
        api.secret, api.secret.removeprefix("wsk_"), token, "9001234567", "123-45", "900 123",
        "Анна", "Кузнецова", "my-idempotency-key", "xxxxxxxx", "Bearer",
    ):  # fmt: skip
        assert secret not in text, secret
    assert {line["path"] for line in lines if line["event"] == "request"} >= {
        "/api/v1/members",
        "/c/[redacted]",
        "/p/[redacted].pkpass",
    }


def test_a_database_error_does_not_tell_the_phone(api: Api, stream: io.StringIO) -> None:
    """An unforeseen 500 logs its traceback, without the values of the statement."""
    with api.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "ALTER TABLE phones ADD CONSTRAINT never CHECK (e164 = 'impossible') NOT VALID"
        )
    try:
        answer = api.call("POST", "/members", json=ANNA)
    finally:
        with api.database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE phones DROP CONSTRAINT never")
    assert (answer.status_code, answer.get_json()["code"]) == (500, "error")
    text = stream.getvalue()
    assert "Traceback" in text
    assert "9001234567" not in text + answer.text
    assert "never" not in answer.text
