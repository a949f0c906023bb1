"""The house of these tests."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask

from tests.browser.shop import open_to_all
from tests.storefront.account.house import (
    Browser,
    House,
    live_in,
    publish_rules,
)
from walletsvc.settings import load
from walletsvc.storage.engine import Database
from walletsvc.storefront import blueprint
from walletsvc.web import i18n, problems
from walletsvc.web.context import Deps


@pytest.fixture
def house(database: Database, now: datetime) -> House:
    """A shop with a holder whose past is three months long."""
    shop, _ = open_to_all(database, now - timedelta(days=100), pictures=False)
    with database.write_tx() as session:
        publish_rules(session, shop, now - timedelta(days=99))
        past = live_in(session, shop, now)
    settings = load(public_url="https://cards.example")
    app = Flask("walletsvc")
    app.secret_key = "a secret of these tests"
    i18n.install(app, settings)
    problems.install(app)
    found = House(app, database, shop, past, now)
    app.register_blueprint(blueprint.create(Deps(settings, database, lambda: found.now)))
    # The test client speaks http; browsers would not send the cookie there.
    app.config["SESSION_COOKIE_SECURE"] = False
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
