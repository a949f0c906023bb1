"""Putting an installation together: what stops it, and what several of them share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from tests.factories import make_member, make_shop
from walletsvc.app import open_installation
from walletsvc.core.errors import ConfigurationError
from walletsvc.settings import load
from walletsvc.storage import columns
from walletsvc.storage.engine import Database


@pytest.fixture(autouse=True)
def _key_of_the_tests() -> Iterator[None]:
    """Opening an installation unlocks this process with that one's key."""
    before = columns._Unlocked.keyring
    yield
    columns._Unlocked.keyring = before


def test_a_host_with_another_secret_key_does_not_start(
    database: Database, database_url: str, tmp_path: Path, now: datetime
) -> None:
    """It could read nothing that the others wrote, nor they what it writes."""
    with database.write_tx() as session:
        make_member(session, make_shop(session, now), now)
    settings = load(data_dir=tmp_path, database_url=database_url, secret_key="another" * 8)
    with (
        pytest.raises(ConfigurationError, match="WALLETSVC_SECRET_KEY"),
        open_installation(settings),
    ):
        pytest.fail("it started")


def test_every_process_knows_all_tables() -> None:
    """What belongs to a card or a person is found by its foreign keys, wherever it is kept."""
    script = """
import sys
from walletsvc import app
from sqlmodel import SQLModel
assert "walletsvc.app.web" not in sys.modules, "no worker serves pages"
print(*SQLModel.metadata.tables)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) == set(SQLModel.metadata.tables)
