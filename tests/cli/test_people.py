"""`walletsvc people`, as a person runs it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.factories import TILL, make_member, make_shop
from walletsvc.cli.main import walletsvc
from walletsvc.core.errors import Conflict, NotFound, Refused
from walletsvc.ledger.service import credit
from walletsvc.people.models import Person
from walletsvc.storage.engine import Database


@pytest.fixture
def ids(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Two rows of one person."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    with database.write_tx() as session:
        shop = make_shop(session, now)
        cards = [
            make_member(session, shop, now, name, phone)[0]
            for name, phone in (("Анна", "+79000001001"), ("Аня", "+79000001002"))
        ]
        credit(session, cards[1].account_id, 40, source="x", actor=TILL, reason="", now=now)
        return [session.get_one(Person, card.person_id).public_id for card in cards]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(walletsvc, ["people", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_whole_story(ids: list[str], tmp_path: Path) -> None:
    """Find, merge, part, tell, erase; a dry run changes nothing."""
    assert run("find", "--organisation", "shop", "8 900 000-10-02").startswith(ids[1])
    assert "+79000001001" in run("find", "--organisation", "shop", "анна")
    run("merge", *ids, "--reason", "дважды", "--dry-run")
    made = run("merge", *ids, "--reason", "дважды")
    assert made.startswith("0 cards change hands, 1 become part of another.\nMerged as ")
    assert run("find", "--organisation", "shop", "+79000001002").startswith(ids[0])
    merge_id = made.split("Merged as ")[1].split(";")[0]
    assert "All as before." in run("unmerge", merge_id, "--reason", "две")
    out = tmp_path / "anya.json"
    run("export", ids[1], "--out", str(out))
    assert json.loads(out.read_text())["phones"][0]["e164"] == "+79000001002"
    assert out.stat().st_mode & 0o077 == 0
    erase = ("erase", ids[1], "--reason", "x", "--forfeit")
    assert "40 forfeited.\nNothing was done." in run(*erase, "--dry-run")
    assert "40 forfeited.\nThe person is erased." in run(*erase, "--yes")
    again = CliRunner().invoke(walletsvc, ["people", *erase, "--yes"])
    assert isinstance(again.exception, Conflict)
    nobody = CliRunner().invoke(walletsvc, ["people", "find", "--organisation", "shop", "Аня"])
    assert isinstance(nobody.exception, NotFound)


def test_erasing_asks_of_whom(ids: list[str]) -> None:
    """By name, cards and points; what would be refused is refused unasked, with the way on."""
    erase = ["people", "erase", ids[1], "--reason", "x"]
    refused = CliRunner().invoke(walletsvc, erase, input="y\n")
    assert "Erase the person?" not in refused.output
    assert isinstance(refused.exception, Refused)
    assert str(refused.exception) == (
        "Аня, 1 card, 40 points: let them be spent, or write them off with --forfeit."
    )
    asked = CliRunner().invoke(walletsvc, [*erase, "--forfeit"], input="n\n")
    assert asked.output.startswith("Аня, 1 card, 40 points.\nThis cannot be undone.")
    assert "Аня" in run("find", "--organisation", "shop", "аня")
    done = CliRunner().invoke(walletsvc, [*erase, "--forfeit"], input="y\n")
    assert done.output.endswith("40 forfeited.\nThe person is erased.\n")


def test_another_phone(ids: list[str]) -> None:
    """Tried first, then done; the history tells it, and whoever has the phone is named."""
    lost = ("change-phone", ids[0], "8 900 000-10-03", "--former", "8 900 000-10-01")
    why = ("--reason", "SIM потеряна")
    assert "Nothing was done." in run(*lost, *why, "--dry-run")
    assert run("phone-changes", ids[0]) == ""
    assert run(*lost, *why).startswith("The phone is +79000001003; its holder has yet to prove it.")
    told = run("phone-changes", ids[0])
    assert "+79000001001 -> +79000001003 (not proven)  system:command-line  SIM потеряна" in told
    taken = ("change-phone", ids[0], "+79000001002", "--former", "+79000001003", *why)
    refused = CliRunner().invoke(walletsvc, ["people", *taken])
    assert isinstance(refused.exception, Conflict)
    assert refused.exception.data == {"people": [ids[1]]}
    assert f"They are {ids[1]}. If it is a family's phone: --shared" in refused.exception.detail
    assert f"walletsvc people merge {ids[0]} {ids[1]} --reason" in refused.exception.detail
    run(*taken, "--shared")
    assert run("find", "--organisation", "shop", "+79000001002").count("+79000001002") == 2
