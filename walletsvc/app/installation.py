"""Opening an installation: settings → database and adapters. What both web and workers need."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.api.wallets import dialects
from walletsvc.app import tables  # noqa: F401 - every process knows all of them
from walletsvc.apple import restored as apple_restored
from walletsvc.apple.factory import PackageFactory
from walletsvc.cards.tiers import moving as tier_moving
from walletsvc.certificates.keeping import service as keeping
from walletsvc.core.clock import Clock, utcnow
from walletsvc.core.errors import ConfigurationError, Unavailable
from walletsvc.enrolment import answers
from walletsvc.google import restored as google_restored
from walletsvc.jobs import events
from walletsvc.jobs import restored as jobs_restored
from walletsvc.jobs.counter_buffer import CounterBuffer
from walletsvc.jobs.signals import Nudger
from walletsvc.messaging import restored as messages_restored
from walletsvc.messaging.proving import rules as proving
from walletsvc.messaging.proving.ways import call_received
from walletsvc.passes import restored as passes_restored
from walletsvc.passes.events import EventBuffer
from walletsvc.passes.publish import Publisher
from walletsvc.people.sessions import service as sessions
from walletsvc.programmes.tiers import service as tiers
from walletsvc.settings import Settings
from walletsvc.storage import columns
from walletsvc.storage.data_dir import prepare_data_dir, secret_key
from walletsvc.storage.embedded import EmbeddedServer
from walletsvc.storage.engine import Database, plain_url
from walletsvc.storage.migrate import upgrade

_PING_SECONDS = 0.5


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
            carried={
                **events.carried(event_handlers(settings.base_url)),
                **proving.carried(sending(settings)),
            },
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
    messages_restored.after_restore(session, now)
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


def event_handlers(base_url: str = "") -> events.Handlers:
    """What reacts to which event, in this order, inside the transaction that caused it; `base_url`
    is where the links lead that handlers write."""
    return {
        events.AccountsMerged: (tiers.accounts_merged,),
        events.AccountSplit: (tiers.account_split,),
        events.CallReceived: (call_received,),
        events.MessageReceived: (partial(answers.message_received, base_url=base_url),),
        events.PersonErased: (sessions.person_erased, keeping.person_erased),
        events.PersonsMerged: (sessions.persons_merged, keeping.persons_merged),
        events.PersonsParted: (sessions.persons_parted,),
        events.RulesPublished: (tier_moving.rules_published,),
    }


def sending(settings: Settings) -> proving.Sending:
    """How this installation sends codes that prove phones."""
    address = urlsplit(settings.base_url)
    return proving.Sending(
        host=(address.hostname or "") if address.scheme == "https" else "",
        home=settings.code_home,
        per_hour=settings.codes_per_hour,
        abroad_per_hour=settings.codes_abroad_per_hour,
    )


def _database_url(settings: Settings, stack: ExitStack) -> str:
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    server = EmbeddedServer(settings.data_dir / "postgres")
    url = server.start()
    stack.callback(server.stop)
    return url
