"""The sender of an installation as a process runs it."""

from __future__ import annotations

import threading

import structlog

from walletsvc.core.clock import Clock
from walletsvc.core.errors import ConfigurationError
from walletsvc.google import client
from walletsvc.google.due import GOOGLE
from walletsvc.google.issuer import former_issuers
from walletsvc.google.limiter import Limiter
from walletsvc.google.sending.sender import GoogleSender
from walletsvc.google.wanted import House
from walletsvc.jobs.signals import Listener
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)


def run(settings: Settings, database: Database, clock: Clock, stop: threading.Event) -> None:
    """Give Google what changed until `stop`. Raises ConfigurationError where Google is no part of
    the installation or its key cannot be used."""
    check(settings)
    if not settings.google_issuer_id:
        raise ConfigurationError("WALLETSVC_GOOGLE_ISSUER_ID is not set: nothing goes to Google.")
    with database.read_tx() as session:
        for issuer_id, objects in former_issuers(session, settings.google_issuer_id).items():
            log.error(
                "cards are under another Google issuer than the setting's: nothing is sent for"
                " them", issuer_id=issuer_id, objects=objects,
            )  # fmt: skip
    sender = GoogleSender(
        database,
        client.client_for(settings),
        Limiter(database, settings.google_requests_per_second),
        House.of(settings),
        clock=clock,
        stop=stop,
    )
    with Listener(database.conninfo, GOOGLE) as listener:
        sender.run(listener.wait, settings.sweep_seconds)


def check(settings: Settings) -> None:
    """Raise ConfigurationError when an issuer is set and its service account's key is no such
    thing."""
    if settings.google_issuer_id:
        client.credentials(settings)
