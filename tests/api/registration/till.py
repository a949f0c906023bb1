"""Calls of a till that registers."""

from __future__ import annotations

import json
import re
from typing import Any

from sqlmodel import col, select

from tests.api.conftest import ANNA, Api
from walletsvc.messaging.models import Message

BODILESS = {"CONTENT_LENGTH": "0"}
SETTINGS = "/programmes/shop/enrolment"
RULES: dict[str, Any] = {
    "rules": {
        "earn": {"percent": "10"},
        "spend": {"max_share_percent": "50"},
        "events": {
            "registration": {"points": 300},
            "manual": {"review": {"name": {"ru": "Отзыв", "en": "Review"}, "points": 50}},
        },
        "promotions": [
            {
                "id": "week",
                "name": {"ru": "Неделя", "en": "Week"},
                "effect": {"kind": "discount", "percent": "20"},
            }
        ],
    }
}


def messages(api: Api) -> list[tuple[str, str]]:
    """Kind and words of what was written to somebody."""
    with api.database.read_tx() as session:
        rows = session.exec(select(Message).order_by(col(Message.id)))
        return [
            (each.kind.value, next(iter(json.loads(each.body or "{}").values()))["text"])
            for each in rows
        ]


def proof(api: Api, phone: str = ANNA["phone"], **more: Any) -> str:
    """A phone is proven as at a till."""
    body = {"programme": "shop", "phone": phone, "purpose": "till", **more}
    begun = api.call("POST", "/proofs", json=body)
    assert begun.status_code == 201, begun.text
    code = re.findall(r"\b\d{6}\b", messages(api)[-1][1])[0]
    found = str(begun.get_json()["id"])
    state = api.call("POST", f"/proofs/{found}/code", json={"code": code}).get_json()
    assert state["state"] == "proven"
    return found


def settings(api: Api) -> dict[str, Any]:
    """How the shop takes people in, as it can be put back."""
    told = dict(api.call("GET", SETTINGS).get_json())
    return {name: told[name] for name in told if name not in ("programme", "join_url")}


def put(api: Api, **changes: Any) -> dict[str, Any]:
    """Change how the shop takes people in, and leave the rest as it is."""
    answer = api.call("PUT", SETTINGS, json=settings(api) | changes)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def publish(api: Api, rules: dict[str, Any] = RULES) -> None:
    """Publish the rules of the shop."""
    saved = api.call("PUT", "/programmes/shop/rules/draft", json=rules)
    assert saved.status_code == 200, saved.text
    api.call("POST", "/programmes/shop/rules/publish", environ_overrides=BODILESS)


def texts(api: Api) -> dict[str, str]:
    """The texts of today by purpose."""
    items = api.call("GET", "/consent-texts").get_json()["items"]
    return {each["purpose"]: each["id"] for each in items}


def agreed(api: Api) -> dict[str, Any]:
    """What goes with a proof of the till."""
    return {"consents": {"data": {"text": texts(api)["data"]}}}


def employee(api: Api, **more: Any) -> str:
    """Somebody who works for the shop."""
    made = api.call("POST", "/staff", json={"name": "Ольга", **more})
    assert made.status_code == 201, made.text
    return str(made.get_json()["id"])


def bill(card: str, **more: Any) -> dict[str, Any]:
    """A bill of a hundred roubles."""
    return {"card_id": card, "total": {"amount": 10_000, "currency": "RUB"}, **more}


def sell(api: Api, card: str, number: str, **more: Any) -> Any:
    """A purchase."""
    return api.call(
        "POST",
        "/purchases",
        json={**bill(card, **more), "external_id": number},
        headers={"Idempotency-Key": number},
    )


def search(api: Api, **body: Any) -> list[dict[str, Any]]:
    """Whom this finds."""
    answer = api.call("POST", "/members/search", json=body)
    assert answer.status_code == 200, answer.text
    return list(answer.get_json()["items"])
