"""The composition root: settings → database and adapters → blueprints and workers.

Nothing else decides which implementation is used where.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

import structlog
from flask import Flask
from procrastinate import Blueprint
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.api import blueprint as api
from walletsvc.apple import identity, readiness, tasks, webservice
from walletsvc.apple import metrics as apple_metrics
from walletsvc.apple import restored as apple_restored
from walletsvc.apple.apns import ApnsClient
from walletsvc.apple.dialect import PUSHES, AppleDialect
from walletsvc.apple.factory import PackageFactory
from walletsvc.apple.sending.sender import Sender
from walletsvc.apple.serving import Serving
from walletsvc.apple.shortcut import Shortcut
from walletsvc.cards import bulk_credit
from walletsvc.cards import checks as card_checks
from walletsvc.cards.tiers import moving as tier_moving
from walletsvc.certificates import checks as certificate_checks
from walletsvc.certificates import tasks as certificate_tasks
from walletsvc.core.clock import Clock, utcnow
from walletsvc.core.errors import ConfigurationError, Unavailable
from walletsvc.enrolment import certificates as certificate_passes
from walletsvc.google import callbacks as google_callbacks
from walletsvc.google import images as google_images
from walletsvc.google import readiness as google_readiness
from walletsvc.google import restored as google_restored
from walletsvc.google import tasks as google_tasks
from walletsvc.google.dialect import GoogleDialect
from walletsvc.google.due import GOOGLE
from walletsvc.google.root_keys import RootKeys
from walletsvc.google.saving import Saver
from walletsvc.google.wanted import House
from walletsvc.jobs import events, queue
from walletsvc.jobs import metrics as job_metrics
from walletsvc.jobs import restored as jobs_restored
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.jobs.changes import CHANGES
from walletsvc.jobs.counter_buffer import CounterBuffer
from walletsvc.jobs.drain import Drain
from walletsvc.jobs.signals import Listener, Nudger
from walletsvc.ledger import metrics as ledger_metrics
from walletsvc.ledger import tasks as ledger_tasks
from walletsvc.ledger import verify
from walletsvc.passes import restored as passes_restored
from walletsvc.passes import spreading
from walletsvc.passes.events import EventBuffer
from walletsvc.passes.protocol import Dialect
from walletsvc.passes.publish import Publisher
from walletsvc.programmes.tiers import service as tiers
from walletsvc.programmes.tiers import tasks as tier_tasks
from walletsvc.sales import checks as sales_checks
from walletsvc.sales.rehearsing import tasks as rehearsing
from walletsvc.settings import Settings
from walletsvc.storage import columns
from walletsvc.storage.data_dir import prepare_data_dir, secret_key
from walletsvc.storage.embedded import EmbeddedServer
from walletsvc.storage.engine import Database, plain_url
from walletsvc.storage.migrate import upgrade
from walletsvc.storefront import blueprint as storefront
from walletsvc.web import health, i18n, metrics, problems, requests, traffic
from walletsvc.web.context import Deps

# Apple answers in milliseconds. A push that hangs occupies a stream until it is given up and tried
# again, and its lease must not end before; so that must not take long.
PUSH_SECONDS = 5.0

# What the parts of a worker listen on; the third part, jobs, is known by its heartbeat.
CHANNELS: Final = {"publish": CHANGES, "send": PUSHES}

# All that a verification of the ledger looks at.
LEDGER_CHECKS: Final = (
    *verify.CHECKS,
    *card_checks.CHECKS,
    *certificate_checks.CHECKS,
    *sales_checks.CHECKS,
)

_PING_SECONDS = 0.5

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Installation:
    """An open installation: everything a process of it works with.

    `events` writes from a thread of its own: whoever assembles an installation closes it.
    """

    settings: Settings
    database: Database
    publisher: Publisher
    factory: PackageFactory
    clock: Clock
    counted: CounterBuffer
    events: EventBuffer


@contextmanager
def open_installation(
    settings: Settings, *, pool_size: int = 8, patience: float = 0
) -> Iterator[Installation]:
    """Start or join the database, bring its schema up to date, and put the parts together.

    A database that does not answer is waited for `patience` seconds. Raises ConfigurationError
    with one clear line for whatever stops the installation.
    """
    with ExitStack() as stack:
        prepare_data_dir(settings.data_dir)
        columns.unlock(secret_key(settings))
        url = _database_url(settings, stack)
        nudger = Nudger(plain_url(url))
        stack.callback(nudger.close)
        database = Database(
            url,
            pool_size=pool_size,
            on_commit=nudger.nudge,
            carried=events.carried(event_handlers()),
        )
        stack.callback(database.close)
        _reach(database, patience)
        upgrade(database)
        _check_secret(database)
        installation = assemble(settings, database)
        database.before_close(installation.events.close)
        yield installation


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """The database as it is, for backup and restore: started or joined, but not migrated."""
    with ExitStack() as stack:
        prepare_data_dir(settings.data_dir)
        database = Database(_database_url(settings, stack), pool_size=2)
        stack.callback(database.close)
        _reach(database, 0)
        yield database


class PutRight(NamedTuple):
    """After a restore: passes published again, pushes queued, objects to be sent to Google."""

    passes: int
    pushes: int
    objects: int


def after_restore(session: Session, now: datetime) -> PutRight:
    """Put right what a restored backup cannot know."""
    passes = passes_restored.after_restore(session, now)
    jobs_restored.after_restore(session)
    pushes = apple_restored.after_restore(session, now)
    return PutRight(passes, pushes, google_restored.after_restore(session, now))


def _reach(database: Database, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            database.ping()
        except Unavailable as error:
            if time.monotonic() >= deadline:
                raise ConfigurationError(f"WALLETSVC_DATABASE_URL: {error.detail}") from error
            time.sleep(_PING_SECONDS)
        else:
            return


def _check_secret(database: Database) -> None:
    """Another host may have been given another key: nothing written before could be read here,
    and nothing written here elsewhere. Raises ConfigurationError."""
    with database.read_tx() as session:
        sealed = session.execute(text("SELECT auth_token FROM passes LIMIT 1")).scalar()
    if sealed is not None:
        columns.keyring().decrypt(sealed)


def assemble(settings: Settings, database: Database, clock: Clock = utcnow) -> Installation:
    """Put the parts of an installation together around an open database."""
    return Installation(
        settings=settings,
        database=database,
        publisher=Publisher(dialects(settings)),
        factory=PackageFactory(settings, clock=clock),
        clock=clock,
        counted=CounterBuffer(database),
        events=EventBuffer(database),
    )


def event_handlers() -> events.Handlers:
    """What reacts to which event, in this order, inside the transaction that caused it."""
    return {
        events.AccountsMerged: (tiers.accounts_merged,),
        events.AccountSplit: (tiers.account_split,),
        events.RulesPublished: (tier_moving.rules_published,),
    }


def dialects(settings: Settings) -> list[Dialect]:
    """The wallets of this installation: Google's once it has an issuer id there."""
    found: list[Dialect] = [AppleDialect(settings.base_url, settings.default_language)]
    if settings.google_issuer_id:
        found.append(GoogleDialect(House.of(settings)))
    return found


def _database_url(settings: Settings, stack: ExitStack) -> str:
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    server = EmbeddedServer(settings.data_dir / "postgres")
    url = server.start()
    stack.callback(server.stop)
    return url


def channels(settings: Settings) -> dict[str, str]:
    """What the parts of this installation's workers listen on, the jobs' apart."""
    return {**CHANNELS, "google": GOOGLE} if settings.google_issuer_id else dict(CHANNELS)


def create_app(installation: Installation) -> Flask:
    """The web application."""
    settings, database = installation.settings, installation.database
    deps = Deps(settings=settings, database=database, clock=installation.clock)
    sources = (
        partial(job_metrics.families, channels=channels(settings)),
        apple_metrics.families,
        ledger_metrics.families,
    )
    app = Flask("walletsvc.web")
    app.secret_key = columns.keyring().derive_text(b"walletsvc sessions")
    https = settings.base_url.startswith("https://")
    requests.install(app, https=https)
    traffic.install(app, installation.counted)
    problems.install(app)
    i18n.install(app, settings)
    app.register_blueprint(
        health.create(
            lambda: google_readiness.examine(
                database, settings, readiness.examine(database, settings, installation.clock)
            ),
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
    app.register_blueprint(api.create(deps))
    app.register_blueprint(storefront.create(deps, _google(app, deps, installation)))
    app.wsgi_app = Shortcut(  # type: ignore[method-assign]
        app.wsgi_app, serving, installation.counted, https=https
    )
    return app


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


def report_certificates(installation: Installation) -> None:
    """Log in words what does not belong together in the signing certificates, or soon ends. It
    stops nothing: tills must go on when a certificate has run out."""
    with installation.database.read_tx() as session:
        found = identity.check(session, installation.settings, installation.clock())
    for problem in found:
        say = log.error if problem.urgent else log.warning
        say(
            "a signing certificate needs attention",
            pass_type=problem.pass_type,
            problem=problem.message,
        )


def absent_workers(installation: Installation) -> list[str]:
    """Which work nobody is there to do, in words."""
    with installation.database.read_tx() as session:
        absent = readiness.absent_workers(session)
        return absent + google_readiness.absent_workers(session, installation.settings)


def bulk_runner(installation: Installation) -> Runner:
    """Does bulk jobs of every kind that this version of walletsvc knows."""
    publisher = installation.publisher
    return Runner(
        installation.database,
        {
            **spreading.handlers(publisher),
            **bulk_credit.handlers(),
            **tier_moving.handlers(),
            **rehearsing.handlers(),
            **certificate_passes.handlers(),
        },
        clock=installation.clock,
        brake=lambda session, job: spreading.must_wait(publisher, session, job),
    )


def run_publisher(installation: Installation, stop: threading.Event) -> None:
    """Drain the change log until `stop`, and do bulk jobs when it is empty."""
    drain = Drain(
        installation.database,
        lambda session, batch: installation.publisher.handle(session, batch, installation.clock()),
        spare=bulk_runner(installation).run_once,
    )
    with Listener(installation.database.conninfo, CHANGES) as listener:
        drain.run(stop, listener.wait, installation.settings.sweep_seconds)


def run_sender(installation: Installation, stop: threading.Event) -> None:
    """Send pushes until `stop`; what is in flight is finished."""
    settings, database = installation.settings, installation.database

    def client_for(pass_type_id: int) -> ApnsClient:
        with database.read_tx() as session:
            own = installation.factory.identity(session, pass_type_id)
        return ApnsClient(
            settings.apns_url,
            own.certificate_pem,
            own.key_pem,
            settings.apns_ca_file,
            request_seconds=PUSH_SECONDS,
        )

    sender = Sender(database, client_for=client_for, clock=installation.clock, stop=stop)
    with Listener(database.conninfo, PUSHES) as listener:
        sender.run(listener.wait, settings.sweep_seconds)


def job_blueprints(settings: Settings) -> dict[str, Blueprint]:
    """The jobs of the features, by namespace."""
    found = {
        "apple": tasks.create(timedelta(days=settings.timeline_days)),
        "certificates": certificate_tasks.create(),
        "ledger": ledger_tasks.create(LEDGER_CHECKS),
        "tiers": tier_tasks.create(),
    }
    if settings.google_issuer_id:
        found["google"] = google_tasks.create(settings, Publisher(dialects(settings)))
    return found


def run_jobs(installation: Installation, stop: threading.Event) -> None:
    """Run queued and scheduled jobs until SIGTERM or SIGINT, whose handlers set `stop`."""
    database = installation.database
    app = queue.build(database.conninfo, job_blueprints(installation.settings))
    queue.run(app, database, installation.clock, stop)
