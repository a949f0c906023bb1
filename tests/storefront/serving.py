"""The public pages alone, as the composition root would put them together."""

from __future__ import annotations

from flask import Flask

from walletsvc.core.clock import Clock
from walletsvc.google.saving import Saver
from walletsvc.settings import load
from walletsvc.storage.engine import Database
from walletsvc.storefront import blueprint
from walletsvc.web import i18n, problems
from walletsvc.web.context import Deps


def pages_of(database: Database, clock: Clock, saver: Saver | None = None) -> Flask:
    """An installation's pages. The test client speaks http: cookies go over that, too."""
    settings = load(public_url="https://cards.example")
    app = Flask("walletsvc")
    app.secret_key = "a secret of these tests"
    i18n.install(app, settings)
    problems.install(app)
    app.register_blueprint(blueprint.create(Deps(settings, database, clock), saver))
    app.config["SESSION_COOKIE_SECURE"] = False
    return app
