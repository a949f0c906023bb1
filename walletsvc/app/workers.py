"""The parts of a worker: what each does, and what it listens on."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Final

import structlog
from procrastinate import Blueprint

from walletsvc.api.wallets import dialects
from walletsvc.app.installation import Installation
from walletsvc.apple import identity, readiness, tasks
from walletsvc.apple.apns import ApnsClient
from walletsvc.apple.dialect import PUSHES
from walletsvc.apple.sending.sender import Sender
from walletsvc.cards import bulk_credit
from walletsvc.cards import checks as card_checks
from walletsvc.cards.codes import tasks as code_tasks
from walletsvc.cards.tiers import moving as tier_moving
from walletsvc.certificates import checks as certificate_checks
from walletsvc.certificates import tasks as certificate_tasks
from walletsvc.enrolment import certificates as certificate_passes
from walletsvc.enrolment import tasks as enrolment_tasks
from walletsvc.enrolment.importing import tasks as importing
from walletsvc.google import readiness as google_readiness
from walletsvc.google import tasks as google_tasks
from walletsvc.google.due import GOOGLE
from walletsvc.jobs import queue
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.jobs.changes import CHANGES
from walletsvc.jobs.drain import Drain
from walletsvc.jobs.signals import Listener
from walletsvc.ledger import tasks as ledger_tasks
from walletsvc.ledger import verify
from walletsvc.messaging import readiness as message_readiness
from walletsvc.messaging import tasks as message_tasks
from walletsvc.messaging.outbox import MESSAGES
from walletsvc.messaging.proving import tasks as proving_tasks
from walletsvc.messaging.sending.sender import MessageSender
from walletsvc.passes import code_policies, spreading
from walletsvc.passes.publish import Publisher
from walletsvc.people.sessions import tasks as session_tasks
from walletsvc.programmes.tiers import tasks as tier_tasks
from walletsvc.sales import checks as sales_checks
from walletsvc.sales.rehearsing import tasks as rehearsing
from walletsvc.settings import Settings

# Apple answers in milliseconds. A push that hangs occupies a stream until it is given up and tried
# again, and its lease must not end before; so that must not take long.
PUSH_SECONDS = 5.0

# What the parts of a worker listen on; the third part, jobs, is known by its heartbeat.
CHANNELS: Final = {"publish": CHANGES, "send": PUSHES, "messages": MESSAGES}

# All that a verification of the ledger looks at.
LEDGER_CHECKS: Final = (
    *verify.CHECKS,
    *card_checks.CHECKS,
    *certificate_checks.CHECKS,
    *sales_checks.CHECKS,
)

log = structlog.get_logger(__name__)


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


def channels(settings: Settings) -> dict[str, str]:
    """What the parts of this installation's workers listen on, the jobs' apart."""
    return {**CHANNELS, "google": GOOGLE} if settings.google_issuer_id else dict(CHANNELS)


def absent_workers(installation: Installation) -> list[str]:
    """Which work nobody is there to do, in words."""
    with installation.database.read_tx() as session:
        absent = readiness.absent_workers(session)
        absent += google_readiness.absent_workers(session, installation.settings)
        return absent + message_readiness.absent_workers(session)


def bulk_runner(installation: Installation) -> Runner:
    """Does bulk jobs of every kind that this version of walletsvc knows."""
    publisher = installation.publisher
    return Runner(
        installation.database,
        {
            **spreading.handlers(publisher),
            **code_policies.handlers(publisher),
            **bulk_credit.handlers(),
            **tier_moving.handlers(),
            **rehearsing.handlers(),
            **certificate_passes.handlers(),
            **importing.handlers(),
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


def run_messages(installation: Installation, stop: threading.Event) -> None:
    """Send messages until `stop`; what is under way is finished."""
    settings, database = installation.settings, installation.database
    sender = MessageSender(database, installation.clock, settings.base_url, stop=stop)
    with Listener(database.conninfo, MESSAGES) as listener:
        sender.run(listener.wait, settings.sweep_seconds)


def job_blueprints(settings: Settings) -> dict[str, Blueprint]:
    """The jobs of the features, by namespace."""
    found = {
        "apple": tasks.create(timedelta(days=settings.timeline_days)),
        "certificates": certificate_tasks.create(),
        "codes": code_tasks.create(),
        "enrolment": enrolment_tasks.create(),
        "ledger": ledger_tasks.create(LEDGER_CHECKS),
        "messages": message_tasks.create(),
        "proofs": proving_tasks.create(),
        "sessions": session_tasks.create(),
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
