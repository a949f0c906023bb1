"""The web application: which blueprint is built from what."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask
from sqlalchemy.exc import OperationalError

from walletsvc.api import blueprint as api
from walletsvc.api import front as api_front
from walletsvc.app.installation import Installation
from walletsvc.app.workers import channels
from walletsvc.apple import metrics as apple_metrics
from walletsvc.apple import readiness, webservice
from walletsvc.apple.serving import Serving
from walletsvc.apple.shortcut import Shortcut
from walletsvc.google import callbacks as google_callbacks
from walletsvc.google import images as google_images
from walletsvc.google import metrics as google_metrics
from walletsvc.google import readiness as google_readiness
from walletsvc.google.root_keys import RootKeys
from walletsvc.google.saving import Saver
from walletsvc.integrations.messaging import blueprint as message_hooks
from walletsvc.jobs import metrics as job_metrics
from walletsvc.ledger import metrics as ledger_metrics
from walletsvc.messaging import metrics as message_metrics
from walletsvc.messaging import readiness as message_readiness
from walletsvc.storage import columns
from walletsvc.storefront import blueprint as storefront
from walletsvc.web import health, i18n, metrics, problems, requests, traffic
from walletsvc.web.context import Deps
from walletsvc.web.front import Front
from walletsvc.web.turns import Turns, worth


class _Flask(Flask):
    """Flask asks of each function of each request whether it is a coroutine; none here is."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(installation: Installation) -> Flask:
    """The web application."""
    settings, database = installation.settings, installation.database
    deps = Deps(settings=settings, database=database, clock=installation.clock)
    sources = (
        partial(job_metrics.families, channels=channels(settings)),
        apple_metrics.families,
        partial(google_metrics.families, settings=settings),
        ledger_metrics.families,
        message_metrics.families,
    )
    app = _Flask("walletsvc.web")
    app.secret_key = columns.keyring().derive_text(b"walletsvc sessions")
    https = settings.base_url.startswith("https://")
    requests.install(app, https=https)
    traffic.install(app, installation.counted)
    problems.install(app)
    i18n.install(app, settings)
    app.register_blueprint(
        health.create(
            lambda: _examine(installation),
            installation.clock,
            settings.metrics_token,
        )
    )
    app.register_blueprint(metrics.create(deps, sources))
    serving = Serving(
        database,
        installation.clock,
        installation.publisher,
        installation.factory,
        installation.events,
    )
    app.register_blueprint(webservice.create(deps, serving))
    app.register_blueprint(message_hooks.create(deps))
    app.register_blueprint(api.create(deps))
    app.register_blueprint(storefront.create(deps, _google(app, deps, installation)))
    app.wsgi_app = Front(  # type: ignore[method-assign]
        app.wsgi_app,
        (Shortcut(serving), api_front.finder(deps, _turns(deps))),
        partial(traffic.count, installation.counted),
        https=https,
    )
    return app


def _examine(installation: Installation) -> health.Findings:
    """Everything that keeps the installation from its work."""
    settings, database, clock = installation.settings, installation.database, installation.clock
    found = readiness.examine(database, settings, clock)
    found = google_readiness.examine(database, settings, clock, found)
    return message_readiness.examine(database, clock, found)


def _turns(deps: Deps) -> Turns:
    settings = deps.settings
    try:
        beside = deps.database.is_beside()
    except OperationalError:
        beside = False  # it went away just now: it will be used as if it were elsewhere
    at_once = worth(
        beside=beside,
        processes=settings.web_processes,
        threads=settings.web_threads,
        cores=len(os.sched_getaffinity(0)),
    )
    return Turns(at_once)


def _google(app: Flask, deps: Deps, installation: Installation) -> Saver | None:
    """What Google Wallet needs of the web application; the saver, where it is part of the
    installation."""
    settings = deps.settings
    if not settings.google_issuer_id:
        return None
    app.register_blueprint(google_images.create(deps))
    keys = RootKeys(settings.google_pay_url, deps.clock)
    app.register_blueprint(google_callbacks.create(deps, keys))
    return Saver.of(settings, deps.database, installation.publisher, deps.clock)
