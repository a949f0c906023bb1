"""Calls that have a phone proven."""

from __future__ import annotations

import json
import re
from typing import Any

from sqlmodel import col, select
from werkzeug.test import TestResponse

from tests.api.conftest import Api
from walletsvc.messaging.models import Message

ASKED = {"programme": "shop", "phone": "8 (900) 123-45-67", "purpose": "till"}


def ask(api: Api, **changes: Any) -> TestResponse:
    return api.call("POST", "/proofs", json=ASKED | changes)


def told(api: Api) -> str:
    """What the newest SMS says."""
    with api.database.read_tx() as session:
        found = session.exec(select(Message).order_by(col(Message.id).desc())).first()
    assert found is not None
    return str(json.loads(found.body or "{}")["sms"]["text"])


def code_of(sms: str) -> str:
    return str(re.findall(r"\b\d{6}\b", sms)[0])


def try_code(api: Api, proof: str, code: str, **options: Any) -> dict[str, Any]:
    answer = api.call("POST", f"/proofs/{proof}/code", json={"code": code}, **options)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())
