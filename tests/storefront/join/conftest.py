"""The house that is joined, and who joins it."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.browser.shop import open_to_all
from tests.storefront.join.visitor import Desk, Visitor
from tests.storefront.serving import pages_of
from walletsvc.storage.engine import Database


@pytest.fixture
def desk(database: Database, now: datetime) -> Desk:
    shop, source = open_to_all(database, now, pictures=False)
    found = Desk(pages_of(database, lambda: found.now), database, shop, source, now)
    return found


@pytest.fixture
def visitor(desk: Desk) -> Visitor:
    return desk.visitor()
