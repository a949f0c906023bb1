"""`walletsvc join` and `staff`: opening the form, short links, employees."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlmodel import select

from tests.cli.test_shops import run
from tests.messaging.making import add_gateway
from tests.passes.shop import open_shop
from walletsvc.cli.main import walletsvc
from walletsvc.core.errors import InputError, NotFound
from walletsvc.enrolment import settings
from walletsvc.merchants.models import Branch
from walletsvc.programmes.models import Programme
from walletsvc.storage.engine import Database


@pytest.fixture(autouse=True)
def _shop(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A café with a branch, founded by command."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    monkeypatch.setenv("WALLETSVC_PUBLIC_URL", "https://cards.example.test")
    run("organisation", "create", "--slug", "cafe", "--name", "Кафе")
    run("branch", "create", "--organisation", "cafe", "--name", "Невский")
    run(
        "programme", "create", "--organisation", "cafe", "--slug", "coffee", "--name", "Клуб",
        "--kind", "points",
    )  # fmt: skip


def branch_id() -> str:
    """The branch, as the list tells it."""
    return run("branch", "list", "--organisation", "cafe").split()[0]


def test_the_form_is_opened_and_closed(database: Database) -> None:
    """The rest stays as it is."""
    address = "https://cards.example.test/join/coffee"
    opened = run("join", "open", "coffee", "--verified-only")
    assert opened.startswith(f"Everybody can join at {address}.\n")
    assert run("join", "close", "coffee") == f"Nobody can join at {address}.\n"
    with database.read_tx() as session:
        rules = settings.of(session, session.exec(select(Programme)).one())
        assert (rules.open, rules.verified_only) == (False, True)
    with pytest.raises(NotFound):
        run("join", "open", "tea")


def test_opening_says_what_the_form_still_lacks(database: Database, now: datetime) -> None:
    """Without a gateway nobody gets a code, without a template no wallet gets a card."""
    opened = CliRunner().invoke(walletsvc, ["join", "open", "coffee"])
    assert opened.stderr.count("Warning: ") == 2
    assert "walletsvc gateways add" in opened.stderr
    assert "walletsvc templates publish" in opened.stderr
    with database.write_tx() as session:
        add_gateway(session, now)
        open_shop(session, now)
    assert "gateways add" not in CliRunner().invoke(walletsvc, ["join", "open", "coffee"]).stderr
    assert CliRunner().invoke(walletsvc, ["join", "open", "club"]).stderr == ""
    assert CliRunner().invoke(walletsvc, ["join", "close", "coffee"]).stderr == ""


def test_a_source_has_a_short_link() -> None:
    made = run(
        "join", "source-create", "coffee", "--branch", branch_id(), "--label", "Плакат у двери"
    )
    found = re.fullmatch(r"https://cards\.example\.test/j/(\w{6}) \([0-9a-z]{20}\)\n", made)
    assert found is not None
    listed = run("join", "sources", "coffee")
    assert listed == f"{found[1]}       0 forms       0 cards  Невский  Плакат у двери\n"
    with pytest.raises(InputError):
        run("join", "source-create", "coffee", "--branch", "x")


def test_employees_and_who_answers_for_a_branch(database: Database) -> None:
    made = run("staff", "create", "--organisation", "cafe", "--name", "Ольга",
               "--phone", "8 900 111-22-33", "--email", "olga@example.com")  # fmt: skip
    olga = made.split("(")[1].split(")")[0]
    listed = run("staff", "list", "--organisation", "cafe")
    assert listed == f"{olga}  works  Ольга\n"
    branch = branch_id()
    said = run("branch", "responsible", branch, olga)
    assert said == f"Employee {olga} is told of what happens in 'Невский'.\n"
    with database.read_tx() as session:
        assert session.exec(select(Branch)).one().responsible_id is not None
    assert run("branch", "responsible", branch).startswith("Nobody is told")
    with pytest.raises(InputError):
        run("staff", "create", "--organisation", "cafe", "--name", "Иван", "--phone", "12")
    with pytest.raises(InputError):
        run("branch", "responsible", branch, "x")
    with pytest.raises(NotFound):
        run("branch", "responsible", "x")
