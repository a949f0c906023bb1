"""`walletsvc programme rules rehearse`, as a person runs it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.sales.rehearsals import TEA, begun, draft
from tests.sales.shop import BOOK, Café, open_café
from walletsvc.cli.main import walletsvc
from walletsvc.core.errors import Conflict, InputError, NotFound
from walletsvc.storage.engine import Database

PROGRAMME = ("programme", "rules")


@pytest.fixture
def café(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Café:
    """A café with one purchase of tea."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    café = open_café(database, now)
    café.buy(café.card(), [{"item": "tea", "sum": 10_000}])
    return café


def run(*words: str) -> str:
    result = CliRunner().invoke(walletsvc, [*PROGRAMME, *words])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_rehearse_and_show_it_again(café: Café) -> None:
    """Done here, without any worker; what is shown is what stays."""
    draft(café, BOOK | {"promotions": [TEA]})
    days = ("--from", "2026-11-01", "--until", "2026-11-20")
    said = run("rehearse", "--programme", "club", *days, "--branch", café.branch.public_id)
    first, progress, *shown = said.splitlines()
    assert "1 of 1 (100 %)" in progress
    assert shown[0] == "version 2, 2026-11-01 to 2026-11-20, 1 branches"
    assert shown[1] == "1 purchases with 1 cards"
    tables = [" ".join(each.split()) for each in shown]
    assert "cost, RUB 5.00 52.00 47.00" in tables
    assert "points earned 5 2 -3" in tables
    assert "discounts, RUB 0.00 50.00 50.00" in tables
    assert "new liability: -3 points, -3.00 RUB" in tables
    assert "1 cards gain 47.00 RUB" in tables
    assert "promotion “Tea”, money 0.00 50.00 50.00" in tables
    rehearsal = first.removeprefix("Rehearsal ")
    assert run("rehearsals", "--programme", "club", rehearsal).splitlines() == shown
    draft(café, BOOK)
    listed = run("rehearsals", "--programme", "club")
    assert listed.startswith(f"{rehearsal}  version 2, ")
    assert "(of an older draft)" in listed


def test_what_cannot_be_done_is_said(café: Café) -> None:
    """No draft, wrong days, no such rehearsal; one that is not done has nothing to show yet."""
    with pytest.raises(Conflict, match="has no draft"):
        run("rehearse", "--programme", "club", "--from", "2026-11-01", "--until", "2026-11-20")
    draft(café, BOOK)
    with pytest.raises(InputError, match="until"):
        run("rehearse", "--programme", "club", "--from", "2026-11-02", "--until", "2026-11-01")
    with pytest.raises(NotFound, match="no such rehearsal"):
        run("rehearsals", "--programme", "club", "nothing")
    waiting = begun(café)
    assert "waiting for its turn" in run("rehearsals", "--programme", "club", waiting.public_id)
