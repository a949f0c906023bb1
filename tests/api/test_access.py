"""Who may call what."""

from __future__ import annotations

import re

import pytest

from tests.api.conftest import ANNA, Api
from walletsvc.access.rules import SCOPES, Scope
from walletsvc.access.service import list_keys, revoke_key
from walletsvc.api import dispatch
from walletsvc.api.blueprint import OPERATIONS
from walletsvc.api.operations import Operation

CARD = "0" * 20
BODILESS = {"CONTENT_LENGTH": "0"}


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
    """Whatever else is wrong, and with the challenge a client needs."""
    before = api.rows()
    for authorization in AUTHORIZATIONS:
        answer = api.client.open(
            "/api/v1" + re.sub(r"\{\w+\}", CARD, operation.path),
            method=operation.method,
            headers={} if authorization is None else {"Authorization": authorization},
            data=b"{" if operation.body else None,
            environ_overrides=BODILESS if operation.writes and not operation.body else {},
        )
        assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert api.rows() == before


def test_a_long_body_is_not_read_for_nobody(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a hundred times as long to check as to see that the key is not one."""

    def read(*_: object) -> None:
        raise AssertionError("was read")

    monkeypatch.setattr(dispatch, "parse_json", read)
    answer = api.call("POST", "/members", secret="wsk_" + "a" * 32, data=b"[" * 20_000)
    assert answer.status_code == 401


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda item: item.id)
def test_a_key_without_the_scope_is_403_and_names_it(api: Api, operation: Operation) -> None:
    """Every call × a key with all scopes but the one it needs."""
    secret = api.key(*(scope for scope in SCOPES if scope != operation.scope))
    answer = api.call(
        operation.method,
        re.sub(r"\{\w+\}", CARD, operation.path),
        secret=secret,
        data=b"{" if operation.body else None,
        environ_overrides=BODILESS if operation.writes and not operation.body else {},
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
