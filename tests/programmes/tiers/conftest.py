"""The club of these tests."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.programmes.tiers.club import Club, open_club
from walletsvc.storage.engine import Database


@pytest.fixture
def club(database: Database, now: datetime) -> Club:
    """A shop without rules yet."""
    return open_club(database, now)
