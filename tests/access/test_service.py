"""API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from walletsvc.access.rules import SCOPES, plausible_secret
from walletsvc.access.service import create_key, find_key, list_keys, revoke_key
from walletsvc.core.errors import InputError, NotFound
from walletsvc.merchants.service import create_branch, create_organisation
from walletsvc.storage.engine import Database


def test_a_key_is_found_by_its_secret_until_revoked(database: Database, now: datetime) -> None:
    """Revoking twice changes nothing; an unknown id is told."""
    with database.write_tx() as session:
        owner = create_organisation(session, slug="a", name="A", now=now).id
        key, secret = create_key(
            session, organisation_id=owner, name=" Till  1 ", scopes=["cards:read"] * 2, now=now
        )
        assert plausible_secret(secret)
        assert (key.name, key.scopes) == ("Till 1", ["cards:read"])
        found = find_key(session, secret)
        assert found is not None
        assert found.model_dump() == key.model_dump()
        assert list_keys(session) == list_keys(session, organisation_id=owner) == [key]
        revoke_key(session, key.public_id, now=now)
        revoke_key(session, key.public_id, now=now)
        assert find_key(session, secret) is None
        with pytest.raises(NotFound):
            revoke_key(session, "nope", now=now)


def test_the_secret_is_not_in_the_database(database: Database, now: datetime) -> None:
    """Only its hash is: who reads the database calls nobody."""
    with database.write_tx() as session:
        owner = create_organisation(session, slug="a", name="A", now=now).id
        _, secret = create_key(session, organisation_id=owner, name="x", scopes=SCOPES, now=now)
    with database.engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT api_keys::text FROM api_keys").scalar_one()
    assert secret not in row
    assert secret.removeprefix("wsk_") not in row


@pytest.mark.parametrize("text", ["", "wsk_", "wsk_" + "a" * 31, "wsk_" + "é" * 32, "\x00" * 36])
def test_nonsense_is_no_key(database: Database, text: str) -> None:
    """It is not even looked up."""
    with database.read_tx() as session:
        assert find_key(session, text) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"name": " "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"branch_id": 987654}, "branch"),
        ({"branch_id": "foreign"}, "branch"),
    ],
)
def test_bad_keys_are_refused(
    database: Database, now: datetime, changes: dict[str, Any], field: str
) -> None:
    """The field is named; a branch must be the organisation's own."""
    with pytest.raises(InputError) as caught, database.write_tx() as session:
        owner = create_organisation(session, slug="a", name="A", now=now).id
        other = create_organisation(session, slug="b", name="B", now=now).id
        foreign = create_branch(session, organisation_id=other, name="B", now=now).id
        if changes.get("branch_id") == "foreign":
            changes = {"branch_id": foreign}
        values: dict[str, Any] = {"name": "x", "scopes": SCOPES}
        create_key(session, organisation_id=owner, now=now, **values | changes)
    assert caught.value.fields[0].field == field
