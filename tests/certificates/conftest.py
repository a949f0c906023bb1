"""The shop of these tests."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.certificates.shop import Gifts, open_gifts
from walletsvc.storage.engine import Database


@pytest.fixture
def gifts(database: Database, now: datetime) -> Gifts:
    """A shop that sells certificates."""
    return open_gifts(database, now)
