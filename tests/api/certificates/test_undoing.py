"""What was done with a certificate by mistake is undone by calls of its own, never around them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.certificates.holder import Gifts
from tests.api.conftest import Api
from tests.api.holding import code
from tests.api.test_reversals import reverse
from walletsvc.access.rules import SCOPES, Scope
from walletsvc.ledger.verify import differences


def _history(api: Api, certificate: str) -> list[dict[str, Any]]:
    return list(api.call("GET", f"/certificates/{certificate}/transactions").get_json()["items"])


def _clean(api: Api) -> bool:
    with api.database.read_tx() as session:
        found = list(differences(session))
    assert found == []
    return True


def test_an_issue_a_top_up_and_a_payout_are_not_undone_as_points_are(gifts: Gifts) -> None:
    """The answer names the call that does it by a certificate's rules."""
    found = gifts.id()
    gifts.post(f"/certificates/{found}/top-ups", {"amount": 50})
    gifts.post(f"/certificates/{found}/payout", {"reason": "x"})
    payout, top_up, issue = (each["id"] for each in _history(gifts.api, found))
    before = gifts.api.rows()
    for transaction, call in ((issue, "cancel"), (top_up, "cancel"), (payout, "payout/undo")):
        answer = reverse(gifts.api, transaction)
        assert code(answer) == (422, "refused"), answer.text
        assert f"POST /certificates/{found}/{call}" in answer.get_json()["detail"]
    assert gifts.api.rows() == before


def test_a_payout_by_mistake_is_undone_and_the_certificate_open_again(gifts: Gifts) -> None:
    """The event says so; it can be spent, and paid out again."""
    found = gifts.id()
    path = f"/certificates/{found}"
    assert code(gifts.post(f"{path}/payout/undo", {"reason": "x"})) == (422, "refused")
    paid = gifts.post(f"{path}/payout", {"reason": "x"}).get_json()["transaction"]["id"]
    tried = gifts.post(f"{path}/payout/undo?dry_run=true", {"reason": "x"}).get_json()
    assert (tried["balance"], tried["dry_run"], gifts.read(found)["state"]) == (
        300_000, True, "closed",
    )  # fmt: skip
    done = gifts.post(f"{path}/payout/undo", {"reason": "Не тот гость"}).get_json()
    assert (done["balance"], done["transaction"]["undoes"]) == (300_000, paid)
    shown = gifts.read(found)
    assert (shown["state"], shown["available"]) == ("active", 300_000)
    assert [event["kind"] for event in shown["events"]] == ["paid_out", "payout_undone"]
    assert code(gifts.post(f"{path}/payout/undo", {"reason": "x"})) == (422, "refused")
    assert gifts.post(f"{path}/redemptions", {"amount": 1_000}).status_code == 200
    assert gifts.post(f"{path}/payout", {"reason": "x"}).get_json()["balance"] == 0
    assert gifts.read(found)["state"] == "closed"
    assert _clean(gifts.api)


def test_an_unused_certificate_is_cancelled(gifts: Gifts) -> None:
    """What was topped up goes first; then all is as if it had not been sold."""
    found = gifts.id()
    path = f"/certificates/{found}"
    more = gifts.post(f"{path}/top-ups", {"amount": 50}).get_json()["transaction"]["id"]
    refused = gifts.post(f"{path}/cancel", {"reason": "x"})
    assert code(refused) == (422, "refused")
    assert "top-up" in refused.get_json()["detail"]
    back = gifts.post(f"{path}/cancel", {"reason": "x", "transaction_id": more}).get_json()
    assert (back["balance"], back["transaction"]["undoes"]) == (300_000, more)
    assert gifts.read(found)["state"] == "active"
    tried = gifts.post(f"{path}/cancel?dry_run=true", {"reason": "x"}).get_json()
    assert (tried["balance"], gifts.read(found)["state"]) == (0, "active")
    done = gifts.post(f"{path}/cancel", {"reason": "Чек отменён"}).get_json()
    assert (done["balance"], done["transaction"]["amount"]) == (0, -300_000)
    shown = gifts.read(found)
    assert (shown["state"], [event["kind"] for event in shown["events"]]) == (
        "closed", ["cancelled"],
    )  # fmt: skip
    assert code(gifts.post(f"{path}/cancel", {"reason": "x"})) == (422, "refused")
    total = gifts.api.call("GET", "/certificates/summary").get_json()["totals"][0]
    assert (total["sold"], total["outstanding"]) == (0, 0)
    assert _clean(gifts.api)


@pytest.mark.parametrize(
    ("became", "answered"),
    [("redeemed", "refused"), ("blocked", "certificate_blocked"), ("held", "conflict")],
)
def test_what_is_used_or_stopped_is_not_cancelled(gifts: Gifts, became: str, answered: str) -> None:
    """Its remainder can be paid out; and a refund makes it whole again."""
    found = gifts.id()
    path = f"/certificates/{found}"
    match became:
        case "redeemed":
            paid = gifts.post(f"{path}/redemptions", {"amount": 100}).get_json()
        case "blocked":
            gifts.post(f"{path}/block", {"reason": "x"})
        case "held":
            wanted = {"certificate_id": found, "amount": 5, "seconds": 60, "reason": "x"}
            assert gifts.post("/holds", wanted).status_code == 201
    assert code(gifts.post(f"{path}/cancel", {"reason": "x"}))[1] == answered
    if became == "redeemed":
        back = {"transaction_id": paid["transaction"]["id"], "reason": "x"}
        gifts.post(f"{path}/refunds", back)
        assert gifts.post(f"{path}/cancel", {"reason": "x"}).get_json()["balance"] == 0


def test_undoing_takes_the_scope_that_manages(gifts: Gifts) -> None:
    """And the issuer's key."""
    path = f"/certificates/{gifts.id()}"
    till = gifts.api.key(*(scope for scope in SCOPES if scope != Scope.CERTIFICATES_MANAGE))
    for verb in ("cancel", "payout/undo"):
        body = {"reason": "x"}
        assert gifts.post(f"{path}/{verb}", body, secret=till).status_code == 403
        assert gifts.post(f"{path}/{verb}", body, secret=gifts.partner).status_code == 404
