"""`walletsvc terms` and `walletsvc join poster`, as a person runs them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.factories import make_shop
from walletsvc.cli.main import walletsvc
from walletsvc.core.errors import InputError, NotFound
from walletsvc.enrolment import sources
from walletsvc.storage.engine import Database


@pytest.fixture
def source(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A shop with a source; its short code."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    monkeypatch.chdir(tmp_path)
    with database.write_tx() as session:
        return sources.create(session, make_shop(session, now).programme, now=now).code


def run(*words: str) -> str:
    result = CliRunner().invoke(walletsvc, list(words))
    if result.exception is not None:
        raise result.exception
    return result.output


def test_terms_go_out_and_come_back(source: str, tmp_path: Path) -> None:
    """What `show` prints is what `publish` reads."""
    began = run("terms", "show", "--programme", "shop")
    assert began.startswith("Условия программы")
    file = tmp_path / "ru.txt"
    file.write_text(began, encoding="utf-8-sig")
    said = run("terms", "publish", "--programme", "shop", "--ru", str(file))
    assert said == "Version 1 of the terms of 'shop' is published.\n"
    assert run("terms", "show", "--programme", "shop") == began
    assert run("terms", "show", "--programme", "shop", "--version", "1") == began
    file.write_text("# Правила\n\nДругие", encoding="utf-8")
    assert "Version 2" in run("terms", "publish", "--programme", "shop", "--ru", str(file))
    assert run("terms", "show", "--programme", "shop") == "Правила\n\nДругие\n"
    with pytest.raises(NotFound, match="no version 3"):
        run("terms", "show", "--programme", "shop", "--version", "3")


def test_files_that_are_no_terms(source: str, tmp_path: Path) -> None:
    """Nothing is published of them."""
    file = tmp_path / "ru.txt"
    file.write_bytes("Условия".encode("cp1251"))
    with pytest.raises(InputError, match="UTF-8"):
        run("terms", "publish", "--programme", "shop", "--ru", str(file))
    with pytest.raises(InputError, match="at least one language"):
        run("terms", "publish", "--programme", "shop")
    file.write_text("Только заголовок", encoding="utf-8")
    with pytest.raises(InputError, match="must not be empty"):
        run("terms", "publish", "--programme", "shop", "--ru", str(file))


def test_a_poster_for_this_machine_alone_is_no_poster(source: str) -> None:
    """Printed, its code would lead visitors to their own phones."""
    made = CliRunner().invoke(walletsvc, ["join", "poster", source])
    assert made.exit_code == 0
    assert "http://127.0.0.1:8000" in made.stderr
    assert "WALLETSVC_PUBLIC_URL" in made.stderr


def test_a_poster_lands_in_a_file(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a name that says which, or where one wants it; the code in any case."""
    monkeypatch.setenv("WALLETSVC_PUBLIC_URL", "https://cards.example.test")
    assert run("join", "poster", source.lower()) == f"The poster is in poster-{source}-a4-ru.pdf.\n"
    assert (tmp_path / f"poster-{source}-a4-ru.pdf").read_bytes().startswith(b"%PDF-")
    run("join", "poster", source, "--size", "a6", "--language", "en", "-o", "here.pdf")
    assert (tmp_path / "here.pdf").read_bytes().startswith(b"%PDF-")
    with pytest.raises(NotFound, match="join sources"):
        run("join", "poster", "none")
