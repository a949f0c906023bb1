"""The desk of these tests."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.apple.authority import apple
from tests.apple.importing.desk import Desk
from walletsvc.settings import load
from walletsvc.storage.engine import Database


@pytest.fixture(name="desk")
def desk_fixture(database: Database, tmp_path: Path, now: datetime) -> Desk:
    settings = load(data_dir=tmp_path / "data")
    apple().trusted_by(settings)
    return Desk(database, settings, now)
