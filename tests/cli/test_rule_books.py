"""`walletsvc branch group`, `programme rules` and `programme tiers`, as a person runs them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.factories import make_member, make_shop
from tests.programmes.books import LEVELS, tier
from walletsvc.cli.main import walletsvc
from walletsvc.core.errors import Conflict, InputError, NotFound, Refused
from walletsvc.merchants.service import create_branch
from walletsvc.storage.engine import Database

PROGRAMME = ("--programme", "shop")
OURS = ("--organisation", "shop")


@pytest.fixture
def branch(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A shop with a branch and a member; the branch's id."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    with database.write_tx() as session:
        shop = make_shop(session, now)
        make_member(session, shop, now)
        return create_branch(
            session, organisation_id=shop.organisation.id, name="Невский", now=now
        ).public_id


def run(*words: str) -> str:
    result = CliRunner().invoke(walletsvc, list(words))
    if result.exception is not None:
        raise result.exception
    return result.output


def written(folder: Path, rules: dict[str, Any]) -> str:
    file = folder / "rules.json"
    file.write_text(json.dumps(rules), encoding="utf-8")
    return str(file)


def test_branch_groups(branch: str, database: Database, now: datetime) -> None:
    """Made, filled, listed, emptied; a stranger's branch does not belong."""
    run("branch", "group", "create", *OURS, "--slug", "centre", "--name", "Центр")
    run("branch", "group", "add", *OURS, "centre", branch)
    assert run("branch", "group", "list", *OURS) == f"centre  Центр\n  {branch}  Невский\n"
    run("branch", "group", "remove", *OURS, "centre", branch)
    assert run("branch", "group", "list", *OURS) == "centre  Центр\n"
    with pytest.raises(NotFound, match="not in the group"):
        run("branch", "group", "remove", *OURS, "centre", branch)
    with pytest.raises(Conflict):
        run("branch", "group", "create", *OURS, "--slug", "centre", "--name", "x")
    with database.write_tx() as session:
        other = make_shop(session, now, "other").organisation.id
        foreign = create_branch(session, organisation_id=other, name="F", now=now).public_id
    with pytest.raises(Refused, match="does not accept"):
        run("branch", "group", "add", *OURS, "centre", foreign)


def test_rules_from_a_file(branch: str, tmp_path: Path) -> None:
    """Checked, kept, shown, published, listed."""
    file = written(tmp_path, {"earn": {"percent": "5"}, "tiers": [tier(*each) for each in LEVELS]})
    assert run("programme", "rules", "check", file) == (
        "The rules are in order: 3 tiers, 0 promotions.\n"
    )
    with pytest.raises(NotFound, match="it earns nothing"):
        run("programme", "rules", "show", *PROGRAMME)
    with pytest.raises(Conflict, match="no draft"):
        run("programme", "rules", "publish", *PROGRAMME)
    with pytest.raises(Conflict, match="no draft"):
        run("programme", "tiers", "preview", *PROGRAMME)
    run("programme", "rules", "draft", file, *PROGRAMME, "--note", "Осень")
    assert run("programme", "tiers", "preview", *PROGRAMME).splitlines()[:2] == [
        "        1  – → bronze, at once",
        "        0  stay where they are",
    ]
    shown = json.loads(run("programme", "rules", "show", *PROGRAMME, "--draft"))
    assert [each["code"] for each in shown["tiers"]] == ["bronze", "silver", "gold"]
    assert run("programme", "rules", "publish", *PROGRAMME) == "Version 1 of 'shop' is published.\n"
    # What reacts to a publication is there in an installation as it is opened for work.
    assert "Tiers of 'shop' under its new rules" in run("bulk", "list")
    assert json.loads(run("programme", "rules", "show", *PROGRAMME)) == shown
    assert run("programme", "rules", "publish", *PROGRAMME, file) == (
        "Version 2 of 'shop' is published.\n"
    )
    listed = run("programme", "rules", "list", *PROGRAMME).splitlines()
    assert [line.split()[:2] for line in listed] == [["2", "published"], ["1", "retired"]]
    assert listed[1].endswith("Осень")


def test_mistakes_in_a_file_are_named(branch: str, tmp_path: Path) -> None:
    """With their fields; what it names is looked up when the programme is known."""
    with pytest.raises(InputError, match="JSON"):
        (tmp_path / "broken.json").write_text("{")
        run("programme", "rules", "check", str(tmp_path / "broken.json"))
    file = written(tmp_path, {"earn": {"percent": 5.5}})
    with pytest.raises(InputError) as raised:
        run("programme", "rules", "check", file)
    assert [each.field for each in raised.value.fields] == ["earn.percent"]
    good = {"earn": {"percent": "5"}, "tier_base": {"organisations": ["nobody"]}}
    file = written(tmp_path, good)
    run("programme", "rules", "check", file)
    with pytest.raises(InputError, match=r"tier_base\.organisations\.0"):
        run("programme", "rules", "check", file, *PROGRAMME)


@pytest.mark.parametrize("kind", ["discount", "stamps"])
def test_programmes_of_discounts_and_stamps(branch: str, kind: str) -> None:
    """Founded like the others."""
    done = run(
        "programme", "create", *OURS, "--slug", "new", "--name", "Новая", "--kind", kind
    )  # fmt: skip
    assert done.startswith("Programme 'new' is started")
