"""The composition root: settings → database and adapters → blueprints and workers.

Nothing else decides which implementation is used where.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from flask import Flask

from walletsvc.api import blueprint as api
from walletsvc.apple import identity, tasks, webservice
from walletsvc.apple.apns import ApnsClient
from walletsvc.apple.dialect import PUSHES, AppleDialect
from walletsvc.apple.factory import PackageFactory
from walletsvc.apple.sending.sender import Sender
from walletsvc.core.clock import Clock, utcnow
from walletsvc.core.errors import ConfigurationError, Unavailable
from walletsvc.jobs import queue
from walletsvc.jobs.changes import CHANGES
from walletsvc.jobs.drain import Drain
from walletsvc.jobs.signals import Listener, Nudger, listening
from walletsvc.passes.publish import Publisher
from walletsvc.settings import Settings
from walletsvc.storage import columns
from walletsvc.storage.embedded import EmbeddedServer
from walletsvc.storage.engine import Database, plain_url
from walletsvc.storage.migrate import is_current, upgrade
from walletsvc.storefront import blueprint as storefront
from walletsvc.web import health, i18n, problems, requests
from walletsvc.web.context import Deps

# Apple answers in milliseconds. A push that hangs occupies a stream until it is given up and tried
# again, and its lease must not end before; so that must not take long.
PUSH_SECONDS = 5.0

_PING_SECONDS = 0.5


log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Installation:
    """An open installation: everything a process of it works with."""

    settings: Settings
    database: Database
    publisher: Publisher
    factory: PackageFactory
    clock: Clock


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
        database = Database(url, pool_size=pool_size, on_commit=nudger.nudge)
        stack.callback(database.close)
        _reach(database, patience)
        upgrade(database)
        yield assemble(settings, database)


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


def assemble(settings: Settings, database: Database, clock: Clock = utcnow) -> Installation:
    """Put the parts of an installation together around an open database."""
    return Installation(
        settings=settings,
        database=database,
        publisher=Publisher([AppleDialect(settings.base_url, settings.default_language)]),
        factory=PackageFactory(settings, clock=clock),
        clock=clock,
    )


def prepare_data_dir(folder: Path) -> None:
    """Make the data directory; raises ConfigurationError when it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-test-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"WALLETSVC_DATA_DIR: cannot write to {folder.absolute()} ({error.strerror}); "
            "make it writable or name another folder."
        ) from error


def secret_key(settings: Settings) -> str:
    """The configured secret, or the one generated into the data directory on first use."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    path = settings.data_dir / "secret_key"
    draft = path.with_name(f".secret_key-{os.getpid()}-{secrets.token_hex(4)}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link, not a rename: of several processes starting together the first one wins.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8")


def _database_url(settings: Settings, stack: ExitStack) -> str:
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    server = EmbeddedServer(settings.data_dir / "postgres")
    url = server.start()
    stack.callback(server.stop)
    return url


def create_app(installation: Installation) -> Flask:
    """The web application."""
    settings, database = installation.settings, installation.database
    deps = Deps(settings=settings, database=database, clock=installation.clock)
    app = Flask("walletsvc.web")
    app.secret_key = columns.keyring().derive_text(b"walletsvc sessions")
    requests.install(app, https=settings.base_url.startswith("https://"))
    problems.install(app)
    i18n.install(app, settings)
    app.register_blueprint(health.create(_readiness_checks(installation)))
    app.register_blueprint(webservice.create(deps, installation.publisher, installation.factory))
    app.register_blueprint(api.create(deps))
    app.register_blueprint(storefront.create(deps))
    return app


def _readiness_checks(installation: Installation) -> list[health.Check]:
    database = installation.database

    def certificates() -> list[str]:
        with database.read_tx() as session:
            problems_ = identity.check(session, installation.settings, installation.clock())
        return [f"{problem.pass_type}: {problem.message}" for problem in problems_]

    def schema() -> list[str]:
        return [] if is_current(database) else ["The schema is not up to date: walletsvc migrate."]

    return [schema, certificates, lambda: absent_workers(database)]


def report_certificates(installation: Installation) -> None:
    """Log in words what does not belong together in the signing certificates. It stops nothing:
    tills must go on when a certificate has run out."""
    with installation.database.read_tx() as session:
        found = identity.check(session, installation.settings, installation.clock())
    for problem in found:
        log.error(
            "a signing certificate is not in order",
            pass_type=problem.pass_type,
            problem=problem.message,
        )


def absent_workers(database: Database) -> list[str]:
    """Which work nobody is there to do, in words."""
    with database.read_tx() as session:
        present = listening(session)
    return [
        f"Nobody {work}: start `walletsvc worker`."
        for channel, work in ((CHANGES, "publishes changed passes"), (PUSHES, "sends pushes"))
        if channel not in present
    ]


def run_publisher(installation: Installation, stop: threading.Event) -> None:
    """Drain the change log until `stop`."""
    drain = Drain(
        installation.database,
        lambda session, batch: installation.publisher.handle(session, batch, installation.clock()),
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


def run_jobs(installation: Installation) -> None:
    """Run queued and scheduled jobs until SIGTERM or SIGINT."""
    database = installation.database
    app = queue.build(database.conninfo, {"apple": tasks.blueprint})
    queue.run(app, database, installation.clock)
