"""`walletsvc templates`: what is printed, and the exit codes that scripts rely on."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlmodel import select

from tests.passes.shop import TEMPLATES, open_shop
from walletsvc.cli.main import walletsvc
from walletsvc.core.errors import Refused
from walletsvc.passes.models import TemplateVersion, VersionState
from walletsvc.storage.engine import Database


@pytest.fixture
def shop(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Database:
    """A shop with both templates in the database that the environment names."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    with database.write_tx() as session:
        open_shop(session, now)
    return database


def mine(tmp_path: Path, *edits: tuple[str, str, str]) -> Path:
    """A copy of the points template with parts replaced: file, old, new."""
    folder = tmp_path / "mine"
    shutil.copytree(TEMPLATES / "loyalty", folder)
    for name, old, new in edits:
        path = folder / name
        before = path.read_text(encoding="utf-8")
        assert old in before
        path.write_text(before.replace(old, new), encoding="utf-8")
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(walletsvc, ["templates", *map(str, arguments)])


SILENT = ("template.toml", 'change = "points_change"\n', "")
UNUSED = ("texts/ru.toml", 'points_change = "Баллов на карте: %@"\n', "")
UNUSED_EN = ("texts/en.toml", 'points_change = "Points on your card: %@"\n', "")


def test_the_products_templates_are_in_order() -> None:
    """Neither errors nor warnings, so that --strict holds too."""
    names = ("loyalty", "gift", "stamps", "discount")
    result = run("check", "--strict", *(TEMPLATES / name for name in names))
    assert result.exit_code == 0, result.output
    first = result.output.splitlines()[0]
    assert first.startswith(f"{TEMPLATES / 'loyalty'}: in order (14 fields, 3 images)")


def test_errors_are_listed_by_severity_and_fail(tmp_path: Path) -> None:
    """Each on a line with its place and code; exit code 1."""
    folder = mine(
        tmp_path, ("texts/ru.toml", "карте: %@", "карте: %s"), ("texts/ru.toml", '"Баллы"', '" "')
    )
    result = run("check", folder)
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0] == f"{folder}: 2 errors"
    assert lines[1].strip() == "Errors"
    assert f"{folder / 'texts/ru.toml'}: points_change: announces" in lines[2]
    assert lines[2].endswith("[change-value]")


def test_warnings_fail_only_when_strict(tmp_path: Path) -> None:
    """A person decides, a pipeline may be stricter."""
    folder = mine(tmp_path, SILENT, UNUSED, UNUSED_EN)
    result = run("check", folder)
    assert (result.exit_code, result.output.count("[balance-silent]")) == (0, 1), result.output
    assert "in order (14 fields, 3 images), 1 warning" in result.output
    assert run("check", "--strict", folder).exit_code == 1


def test_programs_get_json(tmp_path: Path) -> None:
    """All findings with their codes, and counts."""
    result = run("check", "--json", mine(tmp_path, SILENT, UNUSED, UNUSED_EN))
    said = json.loads(result.output)
    assert (said["errors"], said["warnings"]) == (0, 1)
    (finding,) = [f for f in said["templates"][0]["findings"] if f["severity"] == "warning"]
    assert (finding["code"], finding["path"]) == ("balance-silent", "fields.header[0]")


def test_published_templates_are_checked_in_the_database(shop: Database) -> None:
    """Each by its programme; what a later limit finds is told without any folder."""
    result = run("check", "--published")
    assert result.exit_code == 0, result.output
    summaries = [line for line in result.output.splitlines() if not line.startswith(" ")]
    assert [line.split(":")[0] for line in summaries] == ["gift, version 1", "guest, version 1"]
    with shop.write_tx() as session:
        version = session.exec(select(TemplateVersion)).first()
        assert version is not None
        colours = {"background": "#ffffff", "foreground": "#ffffff", "label": "#000000"}
        version.description = version.description | {"colours": colours}
    result = run("check", "--published")
    assert result.exit_code == 1
    assert "    colours.foreground: contrast 1.0" in result.output


def test_folders_or_published_not_both_nor_neither(tmp_path: Path) -> None:
    """A usage error says what to name."""
    for arguments in ((), ("--published", str(TEMPLATES / "gift"))):
        result = run("check", *arguments)
        assert result.exit_code == 2
        assert "Name template folders, or say --published." in result.output


def test_publishing_prints_warnings_and_goes_on(shop: Database, tmp_path: Path) -> None:
    """They are for the person who publishes."""
    folder = mine(tmp_path, SILENT, UNUSED, UNUSED_EN)
    result = run("publish", folder, "--programme", "guest", "--pass-type", "pass.test.points")
    assert result.exit_code == 0, result.output
    assert "guest: version 2 is published" in result.stdout
    assert "[balance-silent]" in result.stderr
    assert str(folder / "template.toml") in result.stderr


def test_publishing_what_phones_would_refuse_is_refused(shop: Database, tmp_path: Path) -> None:
    """A contactless template under a plain pass type: told before anything changes."""
    nfc = '[nfc]\nmessage = "{card_number}"\nencryption_public_key = "AAAA"\n\n[barcode]'
    folder = mine(tmp_path, ("template.toml", "[barcode]", nfc))
    result = run("publish", folder, "--programme", "guest", "--pass-type", "pass.test.points")
    assert result.exit_code == 1
    assert isinstance(result.exception, Refused)
    assert "nfc.encryption_public_key" in result.exception.detail
    assert "no certificate at all" in result.exception.detail
    checked = run("check", folder, "--pass-type", "pass.test.points")
    assert checked.exit_code == 1
    assert "[nfc-certificate]" in checked.output
    with shop.read_tx() as session:
        states = session.exec(select(TemplateVersion.state)).all()
    assert states == [VersionState.PUBLISHED] * 2
