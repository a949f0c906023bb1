"""`walletsvc api-key`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from walletsvc.access.service import find_key
from walletsvc.cli.api_keys import api_key
from walletsvc.core.errors import InputError, NotFound
from walletsvc.merchants.service import create_branch, create_organisation
from walletsvc.storage.engine import Database


@pytest.fixture
def branch(
    database: Database, database_url: str, now: datetime, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:  # fmt: skip
    """An installation with the shop `coffee`; its branch's id."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database_url)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    with database.write_tx() as session:
        owner = create_organisation(session, slug="coffee", name="Coffee", now=now).id
        return create_branch(session, organisation_id=owner, name="Main", now=now).public_id


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(api_key, arguments, catch_exceptions=False)


def test_a_key_is_made_listed_and_revoked(database: Database, branch: str) -> None:
    """The secret alone goes to stdout, so that it can be piped; the list never shows it."""
    made = _run("create", "--organisation", "coffee", "--name", "Till 1", "--branch", branch,
                "--scope", "cards:read", "--scope", "members:write")  # fmt: skip
    assert made.exit_code == 0
    secret = made.stdout.strip()
    with database.read_tx() as session:
        key = find_key(session, secret)
        assert key is not None
        assert key.scopes == ["cards:read", "members:write"]
        assert key.branch_id is not None
    listed = _run("list", "--organisation", "coffee").output
    assert "active" in listed
    assert "Till 1" in listed
    assert secret not in listed
    assert _run("revoke", key.public_id).exit_code == 0
    assert "revoked" in _run("list").output
    with database.read_tx() as session:
        assert find_key(session, secret) is None


def test_what_is_wrong_is_told(branch: str) -> None:
    """An unknown scope, organisation, branch or key."""
    wrong = _run("create", "--organisation", "coffee", "--name", "x", "--scope", "everything")
    assert wrong.exit_code == 2
    assert "cards:read" in wrong.output
    some = ("--name", "x", "--scope", "cards:read")
    with pytest.raises(NotFound, match="tea"):
        _run("create", "--organisation", "tea", *some)
    with pytest.raises(NotFound, match="branch"):
        _run("create", "--organisation", "coffee", "--branch", "nope", *some)
    with pytest.raises(InputError, match="name"):
        _run("create", "--organisation", "coffee", "--name", " ", "--scope", "cards:read")
    with pytest.raises(NotFound, match="key"):
        _run("revoke", "nope")
    for command in ((), ("create",), ("revoke",), ("list",)):
        assert "Usage" in _run(*command, "--help").output
