"""Who may reserve and take what, and where."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.conftest import Api, make_certificate
from tests.api.holding import accept, capture, code, hold
from walletsvc.access.rules import SCOPES, Scope
from walletsvc.merchants.models import Branch


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
