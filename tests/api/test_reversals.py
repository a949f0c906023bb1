"""Reversals over HTTP: by reference, in full or in parts, by those who have a side in it."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.api.conftest import STAFF, Api, make_certificate
from tests.api.holding import accept, balance, capture, code, hold
from tests.factories import make_shop
from walletsvc.api import reversals
from walletsvc.api.operations import KeyRule
from walletsvc.cards.queries import find_anywhere
from walletsvc.ledger.service import credit


def reverse(
    api: Api, transaction: str, query: str = "", secret: str | None = None, **body: Any
) -> TestResponse:
    """Undo a transaction."""
    api.keys += 1
    return api.call(
        "POST",
        f"/transactions/{transaction}/reversals{query}",
        json={"reason": "goods came back", **body},
        headers={"Idempotency-Key": f"reverse-{api.keys}"},
        secret=secret,
    )


@pytest.fixture
def spent(api: Api, card: str) -> str:
    """A debit of sixty from the card, which leaves forty."""
    return str(api.adjust(card, -60, "cup").get_json()["transaction"]["id"])


def test_a_debit_is_undone_in_parts(api: Api, card: str, spent: str) -> None:
    """Each part says what is left; when nothing is, that is said too."""
    first = reverse(api, spent, amount=25)
    body = first.get_json()
    assert first.status_code == 201
    assert (body["balance"], body["reversible"], body["dry_run"]) == (65, 35, False)
    transaction = body["transaction"]
    assert (transaction["type"], transaction["amount"]) == ("reversal", 25)
    assert (transaction["undoes"], transaction["card"]) == (spent, card)
    assert transaction["reason"] == "goods came back"
    answer = reverse(api, spent, amount=36)
    assert (*code(answer), answer.get_json()["reversible"]) == (422, "refused", 35)
    rest = reverse(api, spent).get_json()
    assert (rest["transaction"]["amount"], rest["balance"], rest["reversible"]) == (35, 100, 0)
    assert code(reverse(api, spent)) == (409, "already_reversed")
    assert code(reverse(api, rest["transaction"]["id"])) == (422, "refused")


def test_a_dry_run_makes_every_check_and_writes_nothing(api: Api, card: str, spent: str) -> None:
    """It answers what would be."""
    before = api.rows()
    tried = reverse(api, spent, "?dry_run=true", amount=60).get_json()
    assert (tried["balance"], tried["reversible"], tried["dry_run"]) == (100, 0, True)
    assert tried["transaction"]["id"] is None
    assert code(reverse(api, spent, "?dry_run=true", amount=61)) == (422, "refused")
    assert api.rows() == before
    assert balance(api, card) == 40


def test_a_credit_whose_points_are_gone_is_not_undone(api: Api, card: str) -> None:
    """The answer says how much can be taken back."""
    given = api.adjust(card, 50).get_json()["transaction"]["id"]
    api.adjust(card, -120)
    answer = reverse(api, given)
    assert (*code(answer), answer.get_json()["available"]) == (422, "insufficient_funds", 30)
    assert reverse(api, given, amount=30).get_json()["balance"] == 0


def test_what_is_still_to_come_is_undone_without_the_balance(api: Api, card: str) -> None:
    """An accrual, before its day."""
    given = api.call(
        "POST",
        f"/cards/{card}/adjustments",
        json={"amount": 30, "reason": "x", "available_from": "2026-12-01T00:00:00Z"},
        headers={"Idempotency-Key": "accrual"},
    ).get_json()
    body = reverse(api, given["transaction"]["id"], amount=10).get_json()
    assert (body["transaction"]["amount"], body["transaction"]["balance_after"]) == (-10, None)
    assert (body["balance"], body["reversible"]) == (100, 20)


def test_who_took_undoes_what_it_took_and_nobody_else(api: Api, card: str) -> None:
    """The issuer owes for it, so it is told that it cannot; for strangers it does not exist."""
    partner = accept(api)
    held = hold(api, 60, secret=partner, card_id=card).get_json()["hold"]
    taken = capture(api, held["id"], secret=partner).get_json()["transaction"]["id"]
    own = api.adjust(card, 5).get_json()["transaction"]["id"]
    with api.database.write_tx() as session:
        stranger = make_shop(session, api.now, "stranger")
    before = api.rows()
    refused = reverse(api, taken)
    assert code(refused) == (422, "refused")
    assert "only it can undo" in refused.get_json()["detail"]
    assert code(reverse(api, own, secret=partner)) == (404, "not_found")
    secret = api.key(shop=stranger)
    before["api_keys"] += 1
    assert code(reverse(api, taken, secret=secret)) == (404, "not_found")
    assert api.rows() == before
    assert reverse(api, taken, secret=partner, amount=20).get_json()["balance"] == 65
    assert reverse(api, own).get_json()["balance"] == 60


def test_who_gave_takes_back_what_it_gave(api: Api, card: str) -> None:
    """It owes the issuer for that; the issuer does not decide whether it still does."""
    partner = accept(api)
    with api.database.write_tx() as session:
        account = find_anywhere(session, card)
        assert account is not None
        given = credit(
            session,
            account.card.account_id,
            30,
            source="purchase",
            actor=STAFF,
            reason="dinner",
            now=api.now,
            acceptor_id=api.other.organisation.id,
        ).public_id
    assert code(reverse(api, given)) == (422, "refused")
    assert reverse(api, given, secret=partner).get_json()["balance"] == 100


def test_a_certificates_capture_is_undone(api: Api) -> None:
    """Money goes back to the certificate; the transaction names no card."""
    held = hold(api, 7_000, certificate_id=make_certificate(api)).get_json()["hold"]
    taken = capture(api, held["id"]).get_json()["transaction"]["id"]
    body = reverse(api, taken, amount=2_000).get_json()
    assert (body["balance"], body["transaction"]["card"]) == (5_000, None)


def test_a_branchs_key_notes_the_branch(api: Api, spent: str) -> None:
    """Goods may come back elsewhere than where they were sold."""
    body = reverse(api, spent, secret=api.key(branch_id=api.branch.id)).get_json()
    assert body["transaction"]["branch"] == api.branch.public_id


@pytest.mark.parametrize("path", ["x", "0" * 20, "z" * 20])
def test_an_unknown_transaction_is_not_found(api: Api, path: str) -> None:
    """Whatever stands for it."""
    assert code(reverse(api, path)) == (404, "not_found")


@pytest.mark.parametrize(
    ("changes", "field", "wrong"),
    [
        ({"amount": 0}, "amount", "out_of_range"),
        ({"amount": -5}, "amount", "out_of_range"),
        ({"amount": "5"}, "amount", "wrong_type"),
        ({"amount": 10**400}, "amount", "out_of_range"),
        ({"reason": ""}, "reason", "too_short"),
        ({"reason": None}, "reason", "wrong_type"),
        ({"card": "x"}, "card", "unknown_field"),
    ],
)
def test_bad_input_is_named(
    api: Api, spent: str, changes: dict[str, Any], field: str, wrong: str
) -> None:
    """And nothing is undone."""
    before = api.rows()
    answer = reverse(api, spent, **changes)
    assert answer.status_code == 400, answer.text
    assert [(e["field"], e["code"]) for e in answer.get_json()["errors"]] == [(field, wrong)]
    assert api.rows() == before


def test_it_needs_a_key_and_has_a_dry_run() -> None:
    """The contract of all calls that move value."""
    operation = reversals.OPERATIONS[0]
    assert operation.key is KeyRule.REQUIRED
    assert operation.has_dry_run


def test_a_transaction_is_read_by_who_has_a_side_in_it(api: Api, card: str, spent: str) -> None:
    """As the history shows it; for others it does not exist."""
    shown = api.call("GET", f"/transactions/{spent}").get_json()
    assert shown == api.call("GET", f"/cards/{card}/transactions").get_json()["items"][0]
    partner = accept(api)
    assert code(api.call("GET", f"/transactions/{spent}", secret=partner)) == (404, "not_found")
    assert code(api.call("GET", "/transactions/x")) == (404, "not_found")
    held = hold(api, 30, secret=partner, card_id=card).get_json()["hold"]
    taken = capture(api, held["id"], secret=partner).get_json()["transaction"]
    for secret in (partner, None):
        read = api.call("GET", f"/transactions/{taken['id']}", secret=secret)
        assert read.get_json() == taken
