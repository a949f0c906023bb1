"""`walletsvc ledger statement` and `settle`."""

from __future__ import annotations

import csv
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.ledger.coalition import Coalition, open_coalition
from tests.ledger.shop import open_shop
from walletsvc.cli.main import walletsvc
from walletsvc.core.errors import AlreadyReversed, WalletsvcError
from walletsvc.merchants.service import create_branch
from walletsvc.storage.engine import Database

NOVEMBER = ("--from", "2026-11-01", "--to", "2026-11-30")


def run(*words: str) -> Result:
    """A command, as a person runs it."""
    return CliRunner().invoke(walletsvc, list(words))


@pytest.fixture
def coalition(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Coalition:
    """The spa took 4500.50 roubles of the hotel's certificates in a branch, and 30 points."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    coalition = open_coalition(open_shop(database, now))
    with database.write_tx() as session:
        branch = create_branch(
            session, organisation_id=coalition.ids["spa"], name="=1+1", now=now
        ).id
    coalition.give("hotel", 500_000, unit=coalition.roubles)
    coalition.redeem("hotel", 450_050, at="spa", unit=coalition.roubles, branch_id=branch)
    coalition.give("hotel", 100)
    coalition.redeem("hotel", 30, at="spa")
    return coalition


def test_a_statement_for_people(coalition: Coalition) -> None:
    """Decimals, words for who owes whom, the same from the other side."""
    told = run("ledger", "statement", "hotel", *NOVEMBER)
    assert told.exit_code == 0, told.output
    assert [" ".join(line.split()) for line in told.output.splitlines()] == [
        "hotel and spa, RUB, 2026-11-01 to 2026-11-30",
        "opening 0.00",
        "redeemed (of hotel) 1 4500.50",
        "closing 4500.50",
        "hotel owes spa 4500.50 RUB",
        "hotel and spa, points:all, 2026-11-01 to 2026-11-30",
        "opening 0",
        "redeemed (of hotel) 1 30",
        "closing 30",
        "hotel owes spa 30 points:all",
    ]
    theirs = run("ledger", "statement", "spa", "--with", "hotel", *NOVEMBER).output
    assert "hotel owes spa 4500.50 RUB" in theirs
    assert "-4500.50" in theirs
    nothing = run("ledger", "statement", "spa", "--with", "restaurant", *NOVEMBER)
    assert nothing.output == "Nothing is owed and nothing happened.\n"


def test_days_are_days_of_the_time_zone(coalition: Coalition, now: datetime) -> None:
    """The last day is included to its midnight, where the days are counted."""
    midnight = now.replace(hour=21, minute=0)  # in Moscow
    coalition.redeem("hotel", 5, at="spa", now=midnight - timedelta(microseconds=1))
    coalition.redeem("hotel", 2, at="spa", now=midnight)

    def points(*words: str) -> str:
        lines = run("ledger", "statement", "hotel", *words).output.splitlines()
        return next(line.split()[-1] for line in reversed(lines) if "closing" in line)

    day = ("--from", "2026-11-20", "--to", "2026-11-20")
    assert points(*day) == "35"
    assert points(*day, "--time-zone", "UTC") == "37"


def test_the_lines_as_a_file(coalition: Coalition, tmp_path: Path) -> None:
    """One row for each transaction, in local time; no cell is a formula."""
    coalition.pay("hotel", "spa", 30, reason="@п/п 17", now=coalition.shop.days(1))
    target = tmp_path / "november.csv"
    told = run("ledger", "statement", "hotel", *NOVEMBER, "--csv", str(target))
    assert told.exit_code == 0, told.output
    assert "hotel owes spa 4500.50 RUB" in told.output
    rows = list(csv.DictReader(target.read_text("utf-8-sig").splitlines()))
    assert [(row["unit"], row["kind"], row["amount"], row["total"]) for row in rows] == [
        ("RUB", "redeemed", "4500.50", "4500.50"),
        ("points:all", "redeemed", "30", "30"),
        ("points:all", "settled", "-30", "0"),
    ]
    assert (rows[0]["branch"], rows[2]["reason"]) == ("'=1+1", "'@п/п 17")
    assert rows[0]["time"] == "2026-11-20T12:30:00+03:00"
    piped = run("ledger", "statement", "hotel", *NOVEMBER, "--csv", "-")
    assert list(csv.DictReader(piped.output.lstrip("\ufeff").splitlines())) == rows


def test_a_payment_is_written_down(coalition: Coalition) -> None:
    """In the unit as people write it; what is left is told."""
    paid = run(
        "ledger", "settle", "hotel", "spa", "--unit", "RUB", "--amount", "4500", "--reason", "п/п 1"
    )
    found = re.fullmatch(r"Written down \((\w+)\)\. 'hotel' still owes 0\.50 RUB\.\n", paid.output)
    assert found
    assert coalition.owed("hotel", "spa", coalition.roubles) == 50
    back = run("ledger", "unsettle", found[1], "--reason", "вторая запись")
    assert back.output == "Taken back: what it paid is owed again.\n"
    assert coalition.owed("hotel", "spa", coalition.roubles) == 450_050
    assert isinstance(
        run("ledger", "unsettle", found[1], "--reason", "x").exception, AlreadyReversed
    )
    assert coalition.shop.differences() == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("hotel", "spa", "--unit", "RUB", "--amount", "4500.51"), "more than is owed"),
        (("spa", "hotel", "--unit", "RUB", "--amount", "1"), "more than is owed"),
        (("hotel", "spa", "--unit", "RUB", "--amount", "1.005"), "at most 2 decimals"),
        (("hotel", "spa", "--unit", "points:all", "--amount", "0.5"), "at most 0 decimals"),
        (("hotel", "spa", "--unit", "RUB", "--amount", "NaN"), "at most 2 decimals"),
        (("hotel", "spa", "--unit", "RUB", "--amount", "1e999999"), "decimals"),
        (("hotel", "spa", "--unit", "RUB", "--amount", "-1"), "must be between"),
        (("hotel", "spa", "--unit", "EUR", "--amount", "1"), "--unit"),
        (("hotel", "nobody", "--unit", "RUB", "--amount", "1"), "nobody"),
    ],
)
def test_a_wrong_payment_is_refused(
    coalition: Coalition, words: tuple[str, ...], message: str
) -> None:
    """With a reason, and nothing is written."""
    before = coalition.shop.everything()
    result = run("ledger", "settle", *words, "--reason", "x")
    assert isinstance(result.exception, WalletsvcError)
    assert message in result.exception.detail
    assert coalition.shop.everything() == before


def test_a_period_that_ends_before_it_begins(coalition: Coalition) -> None:
    """The option is named."""
    result = run("ledger", "statement", "hotel", "--from", "2026-11-02", "--to", "2026-11-01")
    assert result.exit_code == 2
    assert "--to" in result.output
