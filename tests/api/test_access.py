"""Who may call what."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import ANNA, Api
from walletsvc.access.rules import SCOPES, Scope
from walletsvc.access.service import list_keys, revoke_key
from walletsvc.api.blueprint import OPERATIONS
from walletsvc.api.operations import Operation

PATH = {"card_id": "0" * 20, "pass_type": "pass.none"}


def body_of(operation: Operation) -> dict[str, Any]:
    """A bad body for a call that takes one, an empty one for other POSTs."""
    if operation.body:
        return {"data": b"{"}
    return {"environ_overrides": {"CONTENT_LENGTH": "0"}} if operation.writes else {}


AUTHORIZATIONS = (
    None,
    "",
    "Bearer",
    "Bearer ",
    "Bearer nonsense",
    "Bearer wsk_" + "a" * 32,
    "Bearer wsk_" + "a" * 5000,
    "Basic d3NrOg==",
    "Bearer wsk_é",
    "ApplePass wsk_" + "a" * 32,
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda item: item.id)
def test_without_a_good_key_every_call_is_401(api: Api, operation: Operation) -> None:
    """Before anything else is looked at, and with the challenge a client needs."""
    before = api.rows()
    for authorization in AUTHORIZATIONS:
        answer = api.client.open(
            "/api/v1" + operation.path.format(**PATH),
            method=operation.method,
            headers={} if authorization is None else {"Authorization": authorization},
            **body_of(operation),
        )
        assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert api.rows() == before


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda item: item.id)
def test_a_key_without_the_scope_is_403_and_names_it(api: Api, operation: Operation) -> None:
    """Every call × a key with all scopes but the one it needs."""
    secret = api.key(*(scope for scope in SCOPES if scope != operation.scope))
    answer = api.call(
        operation.method,
        operation.path.format(**PATH),
        secret=secret,
        **body_of(operation),
    )
    assert (answer.status_code, answer.get_json()["scope"]) == (403, operation.scope)


def test_a_revoked_key_is_no_key(api: Api) -> None:
    """Revoking works from the next call on."""
    secret = api.key(Scope.MEMBERS_WRITE)
    with api.database.write_tx() as session:
        key = list_keys(session, organisation_id=api.shop.organisation.id)[-1]
        revoke_key(session, key.public_id, now=api.now)
    assert api.call("POST", "/members", secret=secret, json=ANNA).status_code == 401


def test_the_word_bearer_may_be_written_in_any_case(api: Api) -> None:
    """Schemes are case-insensitive (RFC 9110)."""
    answer = api.client.post(
        "/api/v1/members", json=ANNA, headers={"Authorization": f"bEARER {api.secret}"}
    )
    assert answer.status_code == 201
