"""The shop of these tests."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.factories import make_shop
from tests.people.consents.office import PHONE, Office
from walletsvc.people.service import find_or_create_person
from walletsvc.storage.engine import Database


@pytest.fixture
def office(database: Database, now: datetime) -> Office:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        person = find_or_create_person(
            session,
            organisation_id=shop.organisation.id,
            phone=PHONE,
            first_name="Анна",
            now=now,
        )
    return Office(database, shop, person, now)
