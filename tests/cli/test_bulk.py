"""`walletsvc cards credit` and `walletsvc bulk`, as a person runs them."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.factories import Shop, make_member, make_shop
from walletsvc.cards import bulk_credit
from walletsvc.cards.models import Card
from walletsvc.cli.main import walletsvc
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import InputError, WalletsvcError
from walletsvc.jobs.bulk import BulkJob, BulkState, service
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.ledger import queries
from walletsvc.storage.engine import Database


class Desk:
    """A shop with three cards, and somebody at the command line."""

    def __init__(self, database: Database, now: datetime) -> None:
        self.database = database
        with database.write_tx() as session:
            self.shop: Shop = make_shop(session, now)
            self.cards: list[Card] = [
                make_member(session, self.shop, now, phone=f"+7900000000{number}")[0]
                for number in range(3)
            ]

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(walletsvc, words)

    def credit(self, *words: str) -> Result:
        return self.run("cards", "credit", "--programme", "shop", "--points", "50",
                        "--reason", "Праздник", *words)  # fmt: skip

    def jobs(self) -> list[BulkJob]:
        with self.database.read_tx() as session:
            return service.newest(session)

    def work(self) -> None:
        runner = Runner(self.database, bulk_credit.handlers(), clock=utcnow)
        while runner.run_once() == 0:
            pass

    def balances(self) -> list[int]:
        with self.database.read_tx() as session:
            return [queries.balance(session, card.account_id) for card in self.cards]


@pytest.fixture
def desk(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    """The installation that the environment names."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    monkeypatch.setattr("walletsvc.cli.bulk._LOOK_SECONDS", 0.02)
    return Desk(database, now)


def test_a_credit_is_followed_paused_and_resumed(desk: Desk) -> None:
    """`watch` ends with the job; the same key again begins nothing."""
    begun = desk.credit("--all", "--key", "autumn")
    assert begun.exit_code == 0, begun.output
    assert "3 cards, 150 points in all" in begun.output
    (job,) = desk.jobs()
    assert job.public_id in begun.output
    assert "paused" in desk.run("bulk", "pause", job.public_id).output
    assert "paused" in desk.run("bulk", "list").output
    assert "waiting for its turn" in desk.run("bulk", "resume", job.public_id).output
    worker = threading.Timer(0.2, desk.work)
    worker.start()
    watched = desk.run("bulk", "watch", job.public_id)
    worker.join()
    assert watched.exit_code == 0
    assert "3 of 3 (100 %)" in watched.output.splitlines()[-1]
    again = desk.credit("--all", "--key", "autumn")
    assert "nothing new was begun" in again.output
    assert desk.balances() == [50, 50, 50]
    shown = desk.run("bulk", "show", job.public_id).output
    assert "3 credited: done" in shown
    assert "system:command-line" in shown


def test_watching_a_job_that_fails_exits_with_1(desk: Desk) -> None:
    """So does --wait."""
    desk.credit("--all")
    with desk.database.write_tx() as session:
        job = service.find(session, desk.jobs()[0].public_id)
        job.state, job.problem = BulkState.FAILED, "no luck"
    watched = desk.run("bulk", "watch", job.public_id)
    assert (watched.exit_code, watched.output.strip().endswith("failed: no luck")) == (1, True)


def test_only_the_cards_of_a_file(desk: Desk, tmp_path: Path) -> None:
    """Plain lines, or a table as spreadsheets write it, with a heading and semicolons."""
    plain, table = tmp_path / "plain.txt", tmp_path / "table.csv"
    plain.write_text(f"{desk.cards[0].number}\n\n", encoding="utf-8")
    table.write_text(f"Name;Number\r\nАнна;{desk.cards[1].number}\r\n", encoding="utf-8-sig")
    for path in (plain, table):
        assert desk.credit("--file", str(path)).exit_code == 0
    desk.work()
    assert desk.balances() == [50, 50, 0]


def test_bad_lines_are_named_and_nothing_begins(desk: Desk, tmp_path: Path) -> None:
    """By the numbers that the editor shows."""
    path = tmp_path / "numbers.csv"
    path.write_text(f"number\n{desk.cards[0].number}\n\nnonsense\n", encoding="utf-8")
    result = desk.credit("--file", str(path))
    assert isinstance(result.exception, InputError)
    (error,) = result.exception.fields
    assert (error.field, error.message) == ("line 4", "is not a card number")
    assert desk.jobs() == []


def test_a_dry_run_begins_nothing(desk: Desk) -> None:
    """It says what would be done."""
    result = desk.credit("--all", "--dry-run")
    assert (result.exit_code, desk.jobs()) == (0, [])
    assert "3 cards, 150 points in all" in result.output


@pytest.mark.parametrize(
    "words",
    [
        ("--all", "--points", "1.5"),
        ("--all", "--points", "many"),
        ("--all", "--points", "NaN"),
        ("--all", "--points", "-5"),
        ("--all", "--points", "1e99"),
        ("--all", "--programme", "nope"),
        ("--all", "--expires", "2020-01-01"),
        ("--all", "--reason", ""),
    ],
)
def test_bad_options_are_refused_in_one_line(desk: Desk, words: tuple[str, ...]) -> None:
    """The last one given of an option counts."""
    result = desk.credit(*words)
    assert isinstance(result.exception, WalletsvcError), result.output
    assert desk.jobs() == []


def test_either_all_or_a_file(desk: Desk) -> None:
    """Nobody is credited for want of an option."""
    assert desk.credit().exit_code == 2
    assert desk.credit("--all", "--file", __file__).exit_code == 2


def test_unreadable_files_are_refused(desk: Desk, tmp_path: Path) -> None:
    """Not UTF-8, or nothing in it."""
    path = tmp_path / "numbers.csv"
    for content in (b"\xff\xfe1", b"\n \n", b"number\n"):
        path.write_bytes(content)
        assert isinstance(desk.credit("--file", str(path)).exception, InputError)
