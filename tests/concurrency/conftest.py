"""The shop of the ledger's own tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.concurrency.at_once import THREADS
from tests.ledger.conftest import shop
from tests.ledger.shop import Shop, open_shop
from walletsvc.storage.engine import Database

__all__ = ["shop"]


@pytest.fixture
def crowd(database_url: str, now: datetime) -> Iterator[Shop]:
    """A shop whose database serves 64 threads at once."""
    database = Database(database_url, pool_size=THREADS)
    yield open_shop(database, now)
    database.close()
