"""Holds over HTTP: reserve before the payment, take or release after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.api.conftest import Api
from walletsvc.access.rules import SCOPES, Scope
from walletsvc.api import holds
from walletsvc.api.operations import KeyRule
from walletsvc.certificates.models import Certificate
from walletsvc.certificates.service import issue
from walletsvc.core.actor import Actor
from walletsvc.merchants.models import Acceptance, Branch
from walletsvc.programmes.service import create_gift_programme

STAFF = Actor("staff", "anna")


@pytest.fixture
def later(api: Api) -> Callable[[float], None]:
    """Sets the clock of all further calls to so many seconds from now."""

    def set_clock(seconds: float) -> None:
        api.clock = api.now + timedelta(seconds=seconds)

    return set_clock


@pytest.fixture
def certificate(api: Api) -> str:
    """The public id of a certificate of the first shop worth a hundred roubles."""
    return make_certificate(api)


def make_certificate(api: Api, **changes: Any) -> str:
    """A certificate of the first shop; changes are made to its row."""
    with api.database.write_tx() as session:
        slug = f"gift-{api.keys}"
        api.keys += 1
        organisation = api.shop.organisation.id
        programme = create_gift_programme(
            session, organisation_id=organisation, slug=slug, name="Подарок", now=api.now
        )
        made, _ = issue(
            session,
            programme=programme,
            face_value=10_000,
            actor=STAFF,
            reason="sold",
            now=api.now,
        )
        found = session.get_one(Certificate, made.id)
        for name, value in changes.items():
            setattr(found, name, value)
        return found.public_id


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


def test_what_another_organisation_issued_is_held_where_it_is_accepted(
    api: Api, card: str, certificate: str
) -> None:
    """Whoever takes it is owed it."""
    stranger = api.key(shop=api.other)
    before = api.rows()
    both: list[dict[str, Any]] = [{"card_id": card}, {"certificate_id": certificate}]
    for wanted in both:
        (name,) = wanted
        asked: list[dict[str, Any]] = [{name: "0" * 20}, wanted]
        unknown, foreign = (
            hold(api, secret=stranger, **each).get_json() | {"request_id": ""} for each in asked
        )
        assert (foreign["status"], foreign) == (404, unknown)
    assert api.rows() == before
    partner = accept(api)
    for wanted in both:
        held = hold(api, secret=partner, **wanted).get_json()["hold"]
        assert capture(api, held["id"], secret=partner).status_code == 200
    with api.database.read_tx() as session:
        owed = session.execute(
            text(
                "SELECT a.organisation_id, sum(e.amount)::int FROM ledger_entries e"
                " JOIN accounts a ON a.id = e.account_id AND a.code = 'inter-organisation'"
                " GROUP BY a.organisation_id"
            )
        ).all()
    assert {tuple(row) for row in owed} == {
        (api.shop.organisation.id, 120),
        (api.other.organisation.id, -120),
    }


@pytest.mark.parametrize("points", [True, False])
def test_points_and_certificates_are_accepted_one_by_one(
    api: Api, card: str, certificate: str, points: bool
) -> None:
    """One kind and not the other."""
    partner = accept(api, points=points, certificates=not points)
    answers = (
        hold(api, secret=partner, card_id=card),
        hold(api, secret=partner, certificate_id=certificate),
    )
    assert [answer.status_code for answer in answers] == ([201, 404] if points else [404, 201])


def test_a_hold_belongs_to_whoever_made_it(api: Api, card: str) -> None:
    """Even the issuer neither sees nor takes nor releases what another reserved."""
    partner = accept(api)
    held = hold(api, secret=partner, card_id=card).get_json()["hold"]
    path = f"/holds/{held['id']}"
    before = api.rows()
    for answer in (api.call("GET", path), api.call("DELETE", path), capture(api, held["id"])):
        assert code(answer) == (404, "not_found")
    assert api.rows() == before
    assert api.call("DELETE", path, secret=partner).status_code == 200


def test_a_certificates_hold_takes_the_scope_that_redeems(
    api: Api, card: str, certificate: str
) -> None:
    """What spends a certificate is not had by going around."""
    secret = api.key(*(scope for scope in SCOPES if scope != Scope.CERTIFICATES_REDEEM))
    before = api.rows()
    for public_id in (certificate, "0" * 20):
        answer = hold(api, secret=secret, certificate_id=public_id)
        assert (*code(answer), answer.get_json()["scope"]) == (
            403, "forbidden", "certificates:redeem",
        )  # fmt: skip
    assert api.rows() == before
    assert hold(api, secret=secret, card_id=card).status_code == 201


def test_a_branch_that_is_switched_off_takes_nothing(api: Api, card: str) -> None:
    """Neither a new hold nor what it reserved before; releasing it is still possible."""
    secret = api.key(branch_id=api.branch.id)
    held = hold(api, secret=secret, card_id=card).get_json()["hold"]
    with api.database.write_tx() as session:
        session.get_one(Branch, api.branch.id).active = False
    before = api.rows()
    assert code(hold(api, 1, secret=secret, card_id=card)) == (422, "not_accepted")
    assert code(capture(api, held["id"], secret=secret)) == (422, "not_accepted")
    assert api.rows() == before
    assert api.call("DELETE", f"/holds/{held['id']}", secret=secret).status_code == 200


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("blocked_at", "certificate_blocked"),
        ("expires_at", "certificate_expired"),
        ("closed_at", "refused"),
    ],
)
def test_a_certificate_that_cannot_be_spent_is_not_held(
    api: Api, now: datetime, column: str, expected: str
) -> None:
    """Blocked, past its end (to the moment), closed."""
    certificate = make_certificate(api, **{column: now})
    before = api.rows()
    assert code(hold(api, certificate_id=certificate)) == (422, expected)
    assert api.rows() == before


def test_a_closed_card_is_not_held(api: Api, card: str, now: datetime) -> None:
    """It is no card any more."""
    with api.database.write_tx() as session:
        session.execute(
            text("UPDATE cards SET closed_at = :now WHERE public_id = :id"),
            {"now": now, "id": card},
        )
    assert code(hold(api, card_id=card)) == (422, "refused")


def test_every_call_that_reserves_or_takes_needs_a_key_and_has_a_dry_run() -> None:
    """The contract of all calls that move value."""
    for operation in holds.OPERATIONS:
        assert operation.scope is Scope.HOLDS_WRITE
        if operation.method == "POST":
            assert operation.key is KeyRule.REQUIRED
            assert operation.has_dry_run
