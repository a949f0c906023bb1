"""`walletsvc certificates`, as a person runs it."""

from __future__ import annotations

import csv
import stat
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.certificates.books import listed
from tests.certificates.shop import Gifts, open_gifts
from walletsvc.cli.main import walletsvc
from walletsvc.core.errors import InputError, NotFound, WalletsvcError
from walletsvc.storage.engine import Database


class Desk:
    """A shop and somebody at its command line."""

    def __init__(self, gifts: Gifts) -> None:
        self.gifts = gifts

    def run(self, *words: str) -> Result:
        """A command that works."""
        result = CliRunner().invoke(walletsvc, ("certificates", *words))
        assert result.exit_code == 0, result.output
        return result

    def refused(self, *words: str) -> WalletsvcError:
        """A command that does not: its error, which `main` tells in a line."""
        result = CliRunner().invoke(walletsvc, ("certificates", *words))
        assert isinstance(result.exception, WalletsvcError), result.output
        return result.exception


@pytest.fixture
def desk(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    """The installation that the environment names."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    return Desk(open_gifts(database, now))


def test_one_is_issued_shown_blocked_and_unblocked(desk: Desk) -> None:
    """By its id; the code is printed once, when it is issued."""
    printed = desk.run(
        "issue", "--programme", "gift", "--amount", "3000.50", "--name", "Марина",
        "--branch", desk.gifts.branch.public_id,
    ).output  # fmt: skip
    told = {line.split()[0]: line.split()[1] for line in printed.splitlines()}
    assert len(told["code"]) == 19
    assert "/c/" in told["page"]
    blocked = desk.run("block", told["id"], "--reason", "lost").output
    assert blocked.strip().endswith("is blocked.")
    desk.run("unblock", told["id"], "--reason", "found")
    shown = desk.run("show", told["id"]).output
    for text in ("active", "3000.50 RUB", "paid", "issued", "blocked: lost", "unblocked: found"):
        assert text in shown, text
    assert told["code"] not in shown


def test_bad_words_are_one_clear_error(desk: Desk) -> None:
    """And nothing is issued."""
    for words, error in (
        (("issue", "--programme", "gift", "--amount", "0"), InputError),
        (("issue", "--programme", "gift", "--amount", "1.005"), InputError),
        (("issue", "--programme", "gift", "--amount", "5", "--free"), InputError),
        (("issue", "--programme", "gift", "--amount", "5", "--expires", "2020-01-01"), InputError),
        (("issue", "--programme", "nope", "--amount", "5"), NotFound),
        (("show", "nope"), NotFound),
        (("batch", "nope", "--output", "nowhere"), NotFound),
    ):
        assert isinstance(desk.refused(*words), error), words
    assert desk.gifts.scalar("SELECT count(*) FROM certificates") == 0


def test_a_file_is_rehearsed_imported_once_and_its_codes_fetched(
    desk: Desk, tmp_path: Path
) -> None:
    """The same key finds the same job; the list is for its owner's eyes."""
    file, out = tmp_path / "vip.csv", tmp_path / "codes.csv"
    file.write_text("имя;сумма;язык\nМарина;3 000,50;\n=Tom;100;en\n", encoding="utf-8")
    order = ("import", "--programme", "gift", "--free", "--reason", "VIP", "--file", str(file),
             "--key", "vip-2026")  # fmt: skip
    rehearsed = desk.run(*order, "--dry-run").output
    assert "2 certificates of 'gift', 3100.50 RUB in all." in rehearsed
    assert desk.gifts.scalar("SELECT count(*) FROM bulk_jobs") == 0
    begun = desk.run(*order).output
    assert "nothing new was begun" in desk.run(*order).output
    assert desk.gifts.scalar("SELECT count(*) FROM bulk_jobs") == 1
    desk.gifts.work()
    job = begun.split("bulk watch ")[1].split()[0]
    assert "2 rows" in desk.run("batch", job, "--output", str(out)).output
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    rows = list(csv.DictReader(out.read_text(encoding="utf-8-sig").splitlines()))
    assert [(row["name"], row["amount"]) for row in rows] == [
        ("Марина", "3000.50"),
        ("'=Tom", "100.00"),
    ]
    assert all(len(row["code"]) == 19 and "/c/" in row["page"] for row in rows)
    assert "cannot be written" in str(desk.refused("batch", job, "--output", str(out)))


def test_a_bad_file_names_every_bad_cell(desk: Desk, tmp_path: Path) -> None:
    """By line and column."""
    file = tmp_path / "bad.csv"
    file.write_text("name,amount\nA,x\nB,5\nC,0\n", encoding="utf-8")
    book = tmp_path / "bad.xlsx"
    book.write_bytes(listed(["A", 5], [79001234567, 5]))
    error = desk.refused("import", "--programme", "gift", "--reason", "x", "--file", str(book))
    assert isinstance(error, InputError)
    assert [item.field for item in error.fields] == ["row 3: name"]
    error = desk.refused(
        "import", "--programme", "gift", "--reason", "x", "--file", str(file)
    )  # fmt: skip
    assert isinstance(error, InputError)
    assert [item.field for item in error.fields] == ["line 2: amount", "line 4: amount"]
    assert desk.gifts.scalar("SELECT count(*) FROM bulk_jobs") == 0
