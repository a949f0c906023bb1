"""Holds over HTTP: reserve before the payment, take or release after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.holding import balance, capture, code, hold
from walletsvc.access.rules import Scope
from walletsvc.api import holds
from walletsvc.api.operations import KeyRule


def test_a_card_is_held_and_captured_in_part(api: Api, card: str) -> None:
    """What a till does around a payment."""
    made = hold(api, 60, card_id=card, secret=api.key(branch_id=api.branch.id))
    body = made.get_json()
    assert made.status_code == 201
    assert (body["available"], body["dry_run"]) == (40, False)
    held = body["hold"]
    assert held | {"id": "", "actor": ""} == {
        "id": "",
        "state": "active",
        "amount": 60,
        "captured": 0,
        "card": card,
        "certificate": None,
        "branch": api.branch.public_id,
        "transaction": None,
        "reason": "Receipt 4711",
        "actor": "",
        "created_at": "2026-11-20T09:30:00Z",
        "expires_at": "2026-11-20T09:45:00Z",
        "closed_at": None,
    }
    assert held["actor"].startswith("api-key:")
    assert api.call("GET", f"/holds/{held['id']}").get_json() == held
    assert balance(api, card) == 100
    assert code(api.adjust(card, -41)) == (422, "insufficient_funds")
    done = capture(api, held["id"], 45).get_json()
    assert (done["balance"], done["hold"]["state"], done["hold"]["captured"]) == (
        55,
        "captured",
        45,
    )
    transaction = done["transaction"]
    assert done["hold"]["transaction"] == transaction["id"]
    assert (transaction["type"], transaction["amount"]) == ("capture", -45)
    assert (transaction["card"], transaction["branch"]) == (card, api.branch.public_id)
    assert transaction["reason"] == "Receipt 4711"
    assert api.adjust(card, -55).status_code == 200


def test_a_certificate_is_held_and_captured_in_full(api: Api, certificate: str) -> None:
    """Without an amount all that was held is taken."""
    held = hold(api, 7_000, certificate_id=certificate).get_json()
    assert (held["available"], held["hold"]["certificate"]) == (3_000, certificate)
    assert held["hold"]["card"] is None
    done = capture(api, held["hold"]["id"]).get_json()
    assert (done["balance"], done["transaction"]["amount"]) == (3_000, -7_000)


@pytest.mark.parametrize(
    ("changes", "field", "wrong"),
    [
        ({"card_id": None}, "card_id", "required"),
        ({"certificate_id": "0" * 20}, "card_id", "required"),
        ({"card_id": 5}, "card_id", "wrong_type"),
        ({"card_id": "x" * 41}, "card_id", "too_long"),
        ({"amount": 0}, "amount", "out_of_range"),
        ({"amount": -1}, "amount", "out_of_range"),
        ({"amount": "60"}, "amount", "wrong_type"),
        ({"amount": 10**15 + 1}, "amount", "out_of_range"),
        ({"seconds": 59}, "seconds", "out_of_range"),
        ({"seconds": 86_401}, "seconds", "out_of_range"),
        ({"seconds": 90.5}, "seconds", "wrong_type"),
        ({"reason": " "}, "reason", "required"),
        ({"reason": "x" * 201}, "reason", "too_long"),
        ({"branch": "x"}, "branch", "unknown_field"),
    ],
)
def test_bad_input_is_named_and_reserves_nothing(
    api: Api, card: str, changes: dict[str, Any], field: str, wrong: str
) -> None:
    """Each wrong field by its name."""
    before = api.rows()
    answer = hold(api, **{"card_id": card} | changes)
    assert answer.status_code == 400, answer.text
    assert [(e["field"], e["code"]) for e in answer.get_json()["errors"]] == [(field, wrong)]
    assert api.rows() == before


@pytest.mark.parametrize("amount", [0, -1, "5", True, 10**15 + 1])
def test_a_bad_amount_of_a_capture_is_named(api: Api, card: str, amount: Any) -> None:
    """And the hold stays as it was."""
    held = hold(api, card_id=card).get_json()["hold"]
    answer = capture(api, held["id"], amount)
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (400, "amount")
    assert api.call("GET", f"/holds/{held['id']}").get_json() == held


def test_more_than_there_is_says_how_much_there_is(api: Api, card: str) -> None:
    """To reserve, and to capture."""
    hold(api, 60, card_id=card)
    answer = hold(api, 41, card_id=card)
    assert (*code(answer), answer.get_json()["available"]) == (422, "insufficient_funds", 40)
    held = hold(api, 40, card_id=card).get_json()["hold"]
    answer = capture(api, held["id"], 41)
    assert (*code(answer), answer.get_json()["held"]) == (422, "refused", 40)


@pytest.mark.parametrize("path", ["x", "0" * 20, "%00" * 20])
def test_what_does_not_exist_is_not_found(api: Api, path: str) -> None:
    """Neither cards nor certificates nor holds, whatever stands for them."""
    before = api.rows()
    named = path.replace("%00", "z")
    assert code(hold(api, card_id=named)) == (404, "not_found")
    assert code(hold(api, certificate_id=named)) == (404, "not_found")
    for method in ("GET", "DELETE"):
        assert code(api.call(method, f"/holds/{path}")) == (404, "not_found")
    assert code(capture(api, path)) == (404, "not_found")
    assert api.rows() == before


def test_a_dry_run_makes_every_check_and_writes_nothing(api: Api, card: str) -> None:
    """Of reserving, and of capturing."""
    before = api.rows()
    tried = hold(api, 60, "?dry_run=true", card_id=card).get_json()
    assert (tried["hold"]["id"], tried["available"], tried["dry_run"]) == (None, 40, True)
    assert code(hold(api, 101, "?dry_run=true", card_id=card)) == (422, "insufficient_funds")
    assert api.rows() == before
    held = hold(api, 60, card_id=card).get_json()["hold"]
    before = api.rows()
    tried = capture(api, held["id"], 50, "?dry_run=true").get_json()
    assert (tried["transaction"]["id"], tried["balance"], tried["dry_run"]) == (None, 50, True)
    assert (tried["hold"]["state"], tried["hold"]["transaction"]) == ("captured", None)
    assert api.rows() == before
    assert api.call("GET", f"/holds/{held['id']}").get_json() == held


def test_a_void_releases_and_may_be_repeated(api: Api, card: str) -> None:
    """A till that does not know whether its call arrived makes it again."""
    held = hold(api, 100, card_id=card).get_json()["hold"]
    first = api.call("DELETE", f"/holds/{held['id']}")
    assert (first.status_code, first.get_json()["state"]) == (200, "voided")
    assert first.get_json()["closed_at"] == "2026-11-20T09:30:00Z"
    assert api.call("DELETE", f"/holds/{held['id']}").data == first.data
    answer = capture(api, held["id"])
    assert (*code(answer), answer.get_json()["state"]) == (409, "hold_closed", "voided")
    assert api.adjust(card, -100).status_code == 200


def test_a_captured_hold_is_neither_captured_again_nor_voided(api: Api, card: str) -> None:
    """Once; a retry with the same key gets the first answer."""
    held = hold(api, 60, card_id=card).get_json()["hold"]
    first = capture(api, held["id"], key="k")
    assert capture(api, held["id"], key="k").data == first.data
    for answer in (capture(api, held["id"]), api.call("DELETE", f"/holds/{held['id']}")):
        assert (*code(answer), answer.get_json()["state"]) == (409, "hold_closed", "captured")
    assert balance(api, card) == 40


def test_time_ends_a_hold_for_everyone(api: Api, card: str, later: Callable[[float], None]) -> None:
    """From its end on it reads as expired and everything is free, with no job running."""
    held = hold(api, 100, card_id=card).get_json()["hold"]
    path = f"/holds/{held['id']}"
    later(899.9)
    assert api.call("GET", path).get_json()["state"] == "active"
    assert code(api.adjust(card, -1)) == (422, "insufficient_funds")
    later(900)
    shown = api.call("GET", path).get_json()
    assert (shown["state"], shown["closed_at"]) == ("expired", held["expires_at"])
    for answer in (capture(api, held["id"]), api.call("DELETE", path)):
        assert (*code(answer), answer.get_json()["state"]) == (409, "hold_closed", "expired")
    later(2000)
    assert api.adjust(card, -100).status_code == 200
    assert api.call("GET", path).get_json() == shown


def test_every_call_that_reserves_or_takes_needs_a_key_and_has_a_dry_run() -> None:
    """The contract of all calls that move value."""
    for operation in holds.OPERATIONS:
        assert operation.scope is Scope.HOLDS_WRITE
        if operation.method == "POST":
            assert operation.key is KeyRule.REQUIRED
            assert operation.has_dry_run
