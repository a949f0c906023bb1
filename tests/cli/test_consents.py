"""`walletsvc consents`, as a person runs it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from tests.factories import TILL, make_shop
from walletsvc.cli.main import walletsvc
from walletsvc.core.errors import InputError, NotFound
from walletsvc.people.consents import service
from walletsvc.people.consents.models import ConsentChannel, Purpose, Way
from walletsvc.people.service import find_or_create_person
from walletsvc.storage.engine import Database

OWN = """
[ru]
title = "Наше согласие"
body = "Да.\\n\\nНет."
"""


@pytest.fixture
def person(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Somebody who agreed to advertising and thought better of it."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    with database.write_tx() as session:
        shop = make_shop(session, now)
        person = find_or_create_person(
            session, organisation_id=shop.organisation.id, phone=None, first_name="Анна", now=now
        )
        words = service.current_texts(session, shop.organisation.id, now)
        service.give(
            session, person, text=words[Purpose.ADVERTISING], channels=[ConsentChannel.SMS],
            way=Way.TILL, language="ru", phone=None, proof_id=None, actor=TILL, now=now,
        )  # fmt: skip
        service.withdraw(
            session, person, purpose=Purpose.ADVERTISING, way=Way.SMS, actor=TILL, now=now
        )
    return person.public_id


def run(*arguments: str) -> Result:
    return CliRunner().invoke(walletsvc, ["consents", *arguments])


def test_texts_are_listed_and_printed(person: str, database: Database) -> None:
    lines = run("show", "--organisation", "shop").output.splitlines()
    assert [line.split()[:2] for line in lines] == [["advertising", "1"], ["data", "1"]]
    printed = run("show", "--organisation", "shop", "--purpose", "data", "--language", "en")
    assert printed.output.startswith("Consent to the processing of personal data\n\nFreely")
    with database.write_tx() as session:
        session.execute(text('UPDATE consent_texts SET body = \'{"ru": "x"}\' WHERE version = 1'))
    forged = run("show", "--organisation", "shop").output
    assert forged.count("THE WORDS ARE NOT THOSE THAT WERE PUBLISHED") == 2


def test_a_shops_own_text(person: str, tmp_path: Path) -> None:
    """From a file; the former one can still be printed; a language it lacks shows what there is."""
    file = tmp_path / "own.toml"
    file.write_text(OWN, encoding="utf-8")
    done = run("publish", "--organisation", "shop", "--purpose", "data", str(file))
    assert done.output.startswith("Version 2 of 'data' is published: ")
    shown = run("show", "--organisation", "shop", "--purpose", "data", "--language", "en")
    assert shown.output == "Наше согласие\n\nДа.\n\nНет.\n"
    former = run("show", "--organisation", "shop", "--purpose", "data", "--version", "1")
    assert former.output.startswith("Согласие на обработку персональных данных")
    listed = run("show", "--organisation", "shop").output
    assert listed.count(" until ") == 1
    missing = run("show", "--organisation", "shop", "--purpose", "data", "--version", "9")
    assert isinstance(missing.exception, NotFound)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("[ru", "file"),
        ("ru = 1", "ru.title"),
        ('[ru]\ntitle = "x"', "ru.body"),
        ('[kk]\ntitle = "x"\nbody = "x"', "title.kk"),
        ("", "body"),
    ],
)
def test_a_wrong_file_is_named(person: str, tmp_path: Path, content: str, field: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(content, encoding="utf-8")
    result = run("publish", "--organisation", "shop", "--purpose", "data", str(file))
    assert isinstance(result.exception, InputError)
    assert result.exception.fields[0].field == field


def test_the_record_of_a_person(person: str) -> None:
    line = run("record", person).output
    assert line.startswith("2026-11-20 09:30 UTC  advertising by sms, version 1 (")
    assert line.endswith(
        "by way of till, written down by till:test; "
        "ended 2026-11-20 09:30 UTC by way of sms, written down by till:test\n"
    )
    assert isinstance(run("record", "nobody").exception, NotFound)
