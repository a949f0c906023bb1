"""`walletsvc cards group`, as a person runs it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.factories import TILL, make_member, make_shop
from walletsvc.cards.groups import service
from walletsvc.cards.models import Card
from walletsvc.cli.main import walletsvc
from walletsvc.core.errors import NotFound
from walletsvc.ledger.service import credit
from walletsvc.storage.engine import Database


@pytest.fixture
def cards(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Card]:
    """Three cards, two of which share an account."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    with database.write_tx() as session:
        shop = make_shop(session, now)
        found = [
            make_member(session, shop, now, name=name)[0] for name in ("Анна", "Борис", "Вера")
        ]
        credit(session, found[1].account_id, 70, source="x", actor=TILL, reason="", now=now)
        service.approve(session, found[1], found[0], reason="Семья", actor=TILL, now=now)
    return found


def test_a_group_is_shown_by_the_number_or_id_of_any_of_its_cards(cards: list[Card]) -> None:
    """Who belongs to it, what it has, who brought what."""
    spaced = " ".join(cards[0].number[at : at + 4] for at in range(0, 16, 4))
    by_number = CliRunner().invoke(walletsvc, ["cards", "group", spaced])
    by_id = CliRunner().invoke(walletsvc, ["cards", "group", cards[1].public_id])
    assert by_number.output == by_id.output
    lines = by_id.output.splitlines()
    assert lines[0].endswith(": 70 points")
    assert lines[2] == (
        f"  {cards[1].number}  Борис: joined 2026-11-20 (staff), brought 70, earned 0, spent 0"
    )


def test_a_card_of_its_own_and_no_card(cards: list[Card]) -> None:
    """Each in one clear line."""
    alone = CliRunner().invoke(walletsvc, ["cards", "group", cards[2].number])
    assert alone.output == "The card is in no group: its account is its own.\n"
    nothing = CliRunner().invoke(walletsvc, ["cards", "group", "nonsense"])
    assert nothing.exit_code != 0
    assert isinstance(nothing.exception, NotFound)
