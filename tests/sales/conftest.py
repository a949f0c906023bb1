"""A café for each test."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.sales.shop import Café, open_café
from walletsvc.storage.engine import Database


@pytest.fixture
def café(database: Database, now: datetime) -> Café:
    """A café whose rules count."""
    return open_café(database, now)
