"""A family of cards."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.cards.groups.members import Family
from tests.factories import make_member, make_shop
from walletsvc.storage.engine import Database


@pytest.fixture
def family(database: Database, now: datetime) -> Family:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        ids = [
            make_member(session, shop, now, name=name)[0].id
            for name in ("Анна", "Борис", "Вера", "Глеб")
        ]
    return Family(database, shop, ids, now)
