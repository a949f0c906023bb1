"""`walletsvc imports`, as a person runs it."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from python_calamine import load_workbook

from tests.enrolment.importing.desk import Desk, open_desk
from walletsvc.cli.main import walletsvc
from walletsvc.core.clock import utcnow
from walletsvc.enrolment.importing import service
from walletsvc.storage.engine import Database

LIST = "Карта;Код;Имя;Баллы;Оборот\n1001;7;Анна;1500;12000,50\n1002;8;Пётр;-1;0\n"


@pytest.fixture
def desk(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    """The installation that the environment names."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    desk = open_desk(database, now)
    desk.now = utcnow()
    return desk


def test_a_base_from_file_to_cards_and_out_again(desk: Desk, tmp_path: Path) -> None:
    """Unknown headings are explained; the report opens; another file or sum is not run."""

    def say(*words: str, fails: bool = False) -> str:
        result = CliRunner().invoke(walletsvc, ["imports", *words])
        assert (result.exception is not None) == fails, result.output
        return str(result.exception) if fails else result.output

    path = tmp_path / "base.csv"
    path.write_bytes(LIST.encode("cp1251"))
    check = ["check", str(path), "--programme", "shop", "--reason", "Старые карты"]
    assert "heading, column 2" in say(*check, fails=True)
    assert "--column is written" in say(*check, "--column", "Код", fails=True)
    assert "phone, surname_first," in say(*check, "--column", "Код=code", fails=True)
    said = say(*check, "--column", "Код=")
    with desk.database.read_tx() as session:
        (found,) = service.newest(session)
    assert found.public_id in said
    assert "cannot be run" in say("run", found.public_id, str(path), "--total", "1500", fails=True)
    desk.work()
    shown = say("show", found.public_id)
    assert "line 3: balance must be a number of 0 or more" in shown
    assert "--total 1500" in shown
    assert re.search(r"ready balance +1,500 points\n", shown)
    assert re.search(r"ready turnover +12,000\.50 RUB\n", shown)
    for name in ("report.xlsx", "report.csv"):
        say("report", found.public_id, "--output", str(tmp_path / name))
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert "balance,invalid_format" in (tmp_path / "report.csv").read_text("utf-8-sig")
    with load_workbook(str(tmp_path / "report.xlsx")) as book:
        assert book.get_sheet_by_index(0).to_python()[1][:3] == [3, "bad", "balance"]
    other = tmp_path / "other.csv"
    other.write_text(LIST)
    refused = say("run", found.public_id, str(other), "--total", "1500", fails=True)
    assert refused == f"{other} is not the file that was checked."
    assert "dry run" in say("run", found.public_id, str(path), "--total", "1501", fails=True)
    say("run", found.public_id, str(path), "--total", "1500")
    desk.work()
    assert desk.balances() == [("Анна", ["1001"], 1500, "gold", 1_200_050)]
    say("undo", found.public_id)
    desk.work()
    assert desk.balances() == []
