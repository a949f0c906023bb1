"""The house that is joined, and who joins it."""

from __future__ import annotations

from datetime import datetime

import pytest
from flask import Flask

from tests.browser.shop import open_to_all
from tests.storefront.join.visitor import Desk, Visitor
from walletsvc.settings import load
from walletsvc.storage.engine import Database
from walletsvc.storefront import blueprint
from walletsvc.web import i18n, problems
from walletsvc.web.context import Deps


@pytest.fixture
def desk(database: Database, now: datetime) -> Desk:
    shop, source = open_to_all(database, now, pictures=False)
    settings = load(public_url="https://cards.example")
    app = Flask("walletsvc")
    app.secret_key = "a secret of these tests"
    i18n.install(app, settings)
    problems.install(app)
    found = Desk(app, database, shop, source, now)
    app.register_blueprint(blueprint.create(Deps(settings, database, lambda: found.now)))
    # The test client speaks http; browsers would not send the cookie there.
    app.config["SESSION_COOKIE_SECURE"] = False
    return found


@pytest.fixture
def visitor(desk: Desk) -> Visitor:
    return desk.visitor()
