"""Gift certificates over HTTP: who may do what, and who sees what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.api.certificates.holder import Gifts
from walletsvc.access.rules import SCOPES
from walletsvc.merchants.models import Branch


def test_the_life_of_a_certificate(gifts: Gifts) -> None:
    """Issued, looked up, redeemed in a branch, refunded, topped up, paid out."""
    issued = gifts.issue(recipient_name="Марина", expires_on="2027-11-20")
    certificate = issued["certificate"]
    assert certificate["expires_at"] == "2027-11-20T21:00:00Z"  # midnight in Moscow
    assert (certificate["balance"], certificate["state"]) == (300_000, "active")
    assert certificate["links"]["page_url"].startswith("https://cards.example.test/c/")
    path = f"/certificates/{certificate['id']}"
    found = gifts.look_up(issued["code"].lower().replace("-", " "), secret=gifts.till)
    assert found.get_json() == gifts.read(certificate["id"])
    paid = gifts.post(f"{path}/redemptions", {"amount": 84_050, "reason": "Чек 2"},
                      secret=gifts.till).get_json()  # fmt: skip
    assert (paid["balance"], paid["transaction"]["amount"]) == (215_950, -84_050)
    assert paid["transaction"]["branch"] == gifts.api.branch.public_id
    refund = {"transaction_id": paid["transaction"]["id"], "amount": 20_000, "reason": "Возврат"}
    back = gifts.post(f"{path}/refunds", refund).get_json()
    assert (back["balance"], back["transaction"]["undoes"]) == (235_950, paid["transaction"]["id"])
    assert gifts.post(f"{path}/top-ups", {"amount": 50}).get_json()["balance"] == 236_000
    explained = gifts.api.call("GET", f"{path}/explanation").get_json()
    assert [(part["kind"], part["amount"]) for part in explained["parts"]] == [
        ("issued", 300_000),
        ("redeemed", -84_050),
        ("refunded", 20_000),
        ("topped_up", 50),
    ]
    assert explained["balance"] == sum(part["amount"] for part in explained["parts"])
    out = gifts.post(f"{path}/payout", {"reason": "Заявление"})
    assert (out.get_json()["balance"], out.get_json()["transaction"]["amount"]) == (0, -236_000)
    assert gifts.read(certificate["id"])["state"] == "closed"
    first = gifts.api.call("GET", f"{path}/transactions?limit=2").get_json()
    rest = gifts.api.call("GET", f"{path}/transactions?cursor={first['next_cursor']}").get_json()
    assert len(first["items"]) + len(rest["items"]) == 5
    summary = gifts.api.call("GET", "/certificates/summary").get_json()
    assert summary["totals"] == [
        {
            "branch": None, "name": "", "currency": "RUB", "sold_count": 1, "sold": 300_050,
            "given_count": 0, "given": 0, "used": 1, "redemptions": 1, "debited": 84_050,
            "refunded": 20_000, "paid_out": 236_000, "outstanding": 0,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("redemptions", {"amount": 100}),
        ("top-ups", {"amount": 100}),
        ("payout", {"reason": "x"}),
        ("transfer", {"reason": "x"}),
    ],
)
def test_a_dry_run_changes_nothing(gifts: Gifts, verb: str, body: dict[str, Any]) -> None:
    """And needs no key; a rehearsed code would be one that nobody can use."""
    path = f"/certificates/{gifts.id()}/{verb}?dry_run=true"
    before = gifts.api.rows()
    answer = gifts.api.call("POST", path, json=body)
    assert answer.get_json()["dry_run"] is True, answer.text
    assert answer.get_json().get("code") is None
    assert gifts.api.rows() == before


def test_an_issue_is_rehearsed_without_a_code(gifts: Gifts) -> None:
    """Nor a certificate."""
    before = gifts.api.rows()
    answer = gifts.api.call(
        "POST", "/certificates?dry_run=true", json={"programme": "gift", "amount": 5}
    )
    assert answer.get_json() == {"certificate": None, "code": None, "amount": 5, "dry_run": True}
    assert gifts.api.rows() == before


def test_who_only_accepts_sees_balance_and_state(gifts: Gifts) -> None:
    """No recipient, no links, no history, no code; and redeems all the same."""
    issued = gifts.issue(recipient_name="Марина")
    path = f"/certificates/{issued['certificate']['id']}"
    for answer in (
        gifts.look_up(issued["code"], secret=gifts.partner),
        gifts.api.call("GET", path, secret=gifts.partner),
    ):
        shown = answer.get_json()
        assert (shown["balance"], shown["state"], shown["currency"]) == (300_000, "active", "RUB")
        for hidden in ("recipient_name", "links", "origin", "branch", "events", "block_reason"):
            assert shown[hidden] is None, hidden
        for secret in ("Марина", issued["code"], issued["certificate"]["links"]["page_url"]):
            assert secret not in answer.text
    paid = gifts.post(f"{path}/redemptions", {"amount": 100}, secret=gifts.partner)
    assert paid.get_json()["balance"] == 299_900
    for verb, body in (
        ("top-ups", {"amount": 1}), ("payout", {"reason": "x"}), ("block", {"reason": "x"}),
        ("unblock", {"reason": "x"}), ("transfer", {"reason": "x"}),
    ):  # fmt: skip
        assert gifts.post(f"{path}/{verb}", body, secret=gifts.partner).status_code == 404
    for read in ("transactions", "explanation"):
        assert gifts.api.call("GET", f"{path}/{read}", secret=gifts.partner).status_code == 404
    refund = {"transaction_id": paid.get_json()["transaction"]["id"], "reason": "x"}
    back = gifts.post(f"{path}/refunds", refund, secret=gifts.partner)
    assert back.get_json()["balance"] == 300_000


def test_what_is_given_needs_a_scope_and_a_reason(gifts: Gifts) -> None:
    """No unsanctioned issue."""
    seller = gifts.api.key(*(scope for scope in SCOPES if scope != "certificates:manage"))
    body = {"programme": "gift", "amount": 500, "origin": "free", "reason": "VIP"}
    refused = gifts.post("/certificates", body, secret=seller)
    assert (refused.status_code, refused.get_json()["scope"]) == (403, "certificates:manage")
    unsaid = gifts.post("/certificates", {**body, "reason": " "})
    assert [error["field"] for error in unsaid.get_json()["errors"]] == ["reason"]
    given = gifts.post("/certificates", body).get_json()["certificate"]
    assert given["origin"] == "free"
    top_up = f"/certificates/{given['id']}/top-ups"
    assert gifts.post(top_up, {"amount": 5, "reason": "x"}, secret=seller).status_code == 403
    assert gifts.post(top_up, {"amount": 5}).status_code == 400
    out = gifts.post(f"/certificates/{given['id']}/payout", {"reason": "x"})
    assert (out.status_code, out.get_json()["code"]) == (422, "refused")


@pytest.mark.parametrize(
    ("changes", "where", "code"),
    [
        ({"programme": "nope"}, "programme", "unknown"),
        ({"programme": "shop"}, "programme", "not_allowed"),
        ({"programme": "other"}, "programme", "unknown"),
        ({"amount": 0}, "amount", "out_of_range"),
        ({"amount": 10**15 + 1}, "amount", "out_of_range"),
        ({"amount": "5"}, "amount", "wrong_type"),
        ({"origin": "stolen"}, "origin", "not_allowed"),
        ({"language": "fr"}, "language", "not_allowed"),
        ({"recipient_name": "x" * 121}, "recipient_name", "too_long"),
        ({"recipient_name": "a\x07"}, "recipient_name", "invalid_characters"),
        ({"expires_on": "2026-11-19"}, "expires_on", "invalid"),
        ({"expires_on": "9999-12-31"}, "expires_on", "invalid"),
        ({"expires_on": "soon"}, "expires_on", "invalid_date"),
        ({"code": "x"}, "code", "unknown_field"),
    ],
)
def test_bad_input_is_named(gifts: Gifts, changes: dict[str, Any], where: str, code: str) -> None:
    """And issues nothing."""
    before = gifts.api.rows()
    body = {"programme": "gift", "amount": 5, "reason": "x", **changes}
    answer = gifts.post("/certificates", body)
    assert answer.status_code == 400, answer.text
    assert [(e["field"], e["code"]) for e in answer.get_json()["errors"]] == [(where, code)]
    assert gifts.api.rows() == before


def test_refusals_have_codes_of_their_own(gifts: Gifts) -> None:
    """Blocked, expired is told by the state, too little, a branch switched off."""
    certificate = gifts.id(500)
    path = f"/certificates/{certificate}"
    short = gifts.post(f"{path}/redemptions", {"amount": 501}).get_json()
    assert (short["code"], short["available"]) == ("insufficient_funds", 500)
    blocked = gifts.post(f"{path}/block", {"reason": "Утерян"}).get_json()
    assert (blocked["state"], blocked["available"], blocked["block_reason"]) == (
        "blocked", 0, "Утерян",
    )  # fmt: skip
    assert [event["kind"] for event in blocked["events"]] == ["blocked"]
    refused = gifts.post(f"{path}/redemptions", {"amount": 1})
    assert (refused.status_code, refused.get_json()["code"]) == (422, "certificate_blocked")
    assert "Утерян" not in refused.text
    assert gifts.post(f"{path}/unblock", {"reason": "x"}).get_json()["state"] == "active"
    with gifts.api.database.write_tx() as session:
        session.get_one(Branch, gifts.api.branch.id).active = False
    closed = gifts.post(f"{path}/redemptions", {"amount": 1}, secret=gifts.till).get_json()
    assert (closed["code"], closed["status"]) == ("not_accepted", 422)


def test_an_expired_one_is_told(gifts: Gifts) -> None:
    """State and code, at the very moment."""
    issued = gifts.issue(expires_on="2026-11-20")["certificate"]
    gifts.api.clock = datetime.fromisoformat(issued["expires_at"])
    headers = {"Authorization": f"Bearer {gifts.api.secret}", "Idempotency-Key": "k"}
    path = f"/api/v1/certificates/{issued['id']}"
    with gifts.api.app.test_client() as client:
        read = client.get(path, headers=headers).get_json()
        assert (read["state"], read["balance"], read["available"]) == ("expired", 300_000, 0)
        answer = client.post(f"{path}/redemptions", json={"amount": 1}, headers=headers)
        assert answer.get_json()["code"] == "certificate_expired"
        paid = client.post(f"{path}/payout", json={"reason": "x"}, headers=headers)
        assert paid.get_json()["balance"] == 0


def test_the_same_key_redeems_once(gifts: Gifts) -> None:
    """Named bug: double redeem, by a till that tries again."""
    path = f"/certificates/{gifts.id(500)}/redemptions"
    first = gifts.post(path, {"amount": 300}, key="receipt-1")
    again = gifts.post(path, {"amount": 300}, key="receipt-1")
    assert again.data == first.data
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.get_json()["balance"] == 200


def test_a_transfer_over_http(gifts: Gifts) -> None:
    """The old code finds a closed one that tells its successor; the new one is worth it all."""
    issued = gifts.issue(500)
    path = f"/certificates/{issued['certificate']['id']}"
    made = gifts.post(f"{path}/transfer", {"recipient_name": "Света", "reason": "x"})
    assert made.status_code == 201, made.text
    new = made.get_json()["certificate"]
    assert (new["balance"], new["transferred_from"]) == (500, issued["certificate"]["id"])
    old = gifts.look_up(issued["code"]).get_json()
    assert (old["state"], old["balance"], old["transferred_to"]) == ("closed", 0, new["id"])
    assert gifts.post(f"{path}/redemptions", {"amount": 1}).status_code == 422
    assert gifts.look_up(made.get_json()["code"]).get_json()["id"] == new["id"]


def test_periods(gifts: Gifts) -> None:
    """From a moment until before another; what is none is named."""
    gifts.id(500)
    for query, sold in (
        ("from=2026-11-20T09:30:00Z&to=2026-11-20T09:30:01Z", 500),
        ("to=2026-11-20T12:30:01%2B03:00", 500),
        ("to=2026-11-20T12:30:01+03:00", 500),
        ("from=2026-11-20T09:30:01Z&to=2026-12-01T00:00:00Z", 0),
    ):
        summary = gifts.api.call("GET", f"/certificates/summary?{query}").get_json()
        assert sum(row["sold"] for row in summary["totals"]) == sold, query
    for query, where in (
        ("from=yesterday", "from"),
        ("to=2026-11-20T09:30:00", "to"),
        ("from=2027-01-01T00:00:00Z", "from"),
    ):
        answer = gifts.api.call("GET", f"/certificates/summary?{query}")
        assert [error["field"] for error in answer.get_json()["errors"]] == [where]
