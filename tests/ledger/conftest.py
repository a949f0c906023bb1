"""A shop with one points account and one certificate account to post to."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.ledger.shop import Shop, open_shop
from walletsvc.storage.engine import Database


@pytest.fixture
def shop(database: Database, now: datetime) -> Shop:
    """An organisation with a points unit and a currency."""
    return open_shop(database, now)
