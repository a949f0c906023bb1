"""A code by SMS in the place of the card's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.codes.till import Till, hold, problem, proof
from tests.api.proving import code_of, told, try_code
from tests.api.selling import money, send
from tests.messaging.making import add_gateway
from walletsvc.messaging.proving.models import ProofPurpose


def test_a_code_by_sms_does_as_well(till: Till) -> None:
    """Once, for a sale or a hold, in place of a presentation."""
    shown = {"proof": proof(till)}
    assert till.quote(points=40, **shown).get_json()["discount"] == money(20_00)
    made = till.buy(points=40, **shown)
    assert (made.status_code, made.get_json()["discount"]) == (201, money(20_00))
    assert problem(till.buy(**shown)) == (422, "presence_required", "used")
    assert send(till.api, "/holds", hold(till, proof=proof(till))).status_code == 201
    both = till.quote(proof=proof(till), presentation=till.scan(till.page())["presentation"])
    assert both.get_json()["errors"][0]["field"] == "proof"


def test_a_code_by_sms_from_beginning_to_end(till: Till) -> None:
    """The cashier has it sent and types what the customer says: then the points pay."""
    with till.api.database.write_tx() as session:
        add_gateway(session, till.api.now)
    asked = till.api.call(
        "POST",
        "/proofs",
        json={"programme": "shop", "phone": "8 (900) 123-45-67", "purpose": "spend"},
    ).get_json()
    assert problem(till.buy(points=40, proof=asked["id"])) == (422, "presence_required", "missing")
    assert try_code(till.api, asked["id"], code_of(told(till.api)))["state"] == "proven"
    made = till.buy(points=40, proof=asked["id"])
    assert (made.status_code, made.get_json()["points"]) == (201, 40)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"phone": "+79990000000"}, (400, "invalid_input")),
        ({"phone": "+79000000002"}, (400, "invalid_input")),
        ({"subject": "key:0"}, (400, "invalid_input")),
        ({"purpose": ProofPurpose.LOG_IN}, (400, "invalid_input")),
        ({"proven_at": None}, (422, "presence_required")),
    ],
)
def test_a_proof_of_something_else(
    till: Till, changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    """A stranger's or another member's phone, another's proof, another purpose, or none yet."""
    till.api.member(phone="+79000000002", first_name="Пётр")
    for call in (till.quote, till.buy):
        assert problem(call(proof=proof(till, **changes)))[:2] == expected
