"""The house of these tests."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.browser.shop import open_to_all
from tests.storefront.account.house import (
    Browser,
    House,
    live_in,
    publish_rules,
)
from tests.storefront.serving import pages_of
from walletsvc.storage.engine import Database


@pytest.fixture
def house(database: Database, now: datetime) -> House:
    """A shop with a holder whose past is three months long."""
    shop, _ = open_to_all(database, now - timedelta(days=100), pictures=False)
    with database.write_tx() as session:
        publish_rules(session, shop, now - timedelta(days=99))
        past = live_in(session, shop, now)
    found = House(pages_of(database, lambda: found.now), database, shop, past, now)
    return found


@pytest.fixture
def browser(house: House) -> Browser:
    """A browser that was never here."""
    return house.browser()


@pytest.fixture
def holder(house: House, browser: Browser) -> Browser:
    """The holder at the settings, in English."""
    browser.log_in(house.past.card)
    browser.open(house.past.card, "/settings?lang=en")
    return browser
