"""Birthdays, applications that nobody finished, and lists that nobody ran, by the clock."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog
from procrastinate import Blueprint, JobContext
from sqlalchemy import bindparam
from sqlmodel import col, select, update

from walletsvc.core.clock import Clock
from walletsvc.enrolment import gifts
from walletsvc.enrolment.importing.tasks import forget
from walletsvc.enrolment.models import Application, ApplicationState
from walletsvc.enrolment.personal import welcomes
from walletsvc.jobs.queue import database_of
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

_PIECE: Final = 1_000
# Whoever is just finishing one holds its row.
_GIVE_UP: Final = (
    update(Application)
    .where(
        col(Application.id).in_(
            select(Application.id)
            .where(
                Application.state == ApplicationState.WAITING,
                col(Application.expires_at) <= bindparam("now"),
            )
            .order_by(col(Application.expires_at))
            .limit(bindparam("most"))
            .with_for_update(skip_locked=True)
        )
    )
    .values(state=ApplicationState.GIVEN_UP, form="", phone="", completed_at=bindparam("now"))
    .returning(col(Application.id))
    .execution_options(synchronize_session=False)
)


def create() -> Blueprint:
    """The jobs."""
    blueprint = Blueprint()

    # Each hour, since a day begins at another hour in another zone.
    @blueprint.periodic(cron="33 * * * *")
    @blueprint.task(
        name="birthdays", pass_context=True, queueing_lock="birthdays", lock="birthdays"
    )
    def birthdays(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Give what birthdays bring."""
        clock: Clock = context.additional_context["clock"]
        log.info("birthdays were thought of", cards=give(database_of(context), clock()))

    @blueprint.periodic(cron="*/15 * * * *")
    @blueprint.task(
        name="applications", pass_context=True, queueing_lock="applications", lock="applications"
    )
    def applications(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Forget what was typed and never finished."""
        clock: Clock = context.additional_context["clock"]
        log.info("applications ran out", count=give_up(database_of(context), clock()))

    @blueprint.periodic(cron="17 3 * * *")
    @blueprint.task(name="forget_imports", pass_context=True, queueing_lock="forget_imports")
    def forget_imports(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Forget lists of cards that nobody ran."""
        clock: Clock = context.additional_context["clock"]
        with database_of(context).write_tx() as session:
            forget(session, clock())

    @blueprint.periodic(cron="27 3 * * *")
    @blueprint.task(name="forget_welcomes", pass_context=True, queueing_lock="forget_welcomes")
    def welcomes_of_old(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Forget which phones of people who were erased had been welcomed."""
        clock: Clock = context.additional_context["clock"]
        forget_welcomes(database_of(context), clock())

    return blueprint


def forget_welcomes(database: Database, now: datetime) -> None:
    """Forget hashes of phones whose purpose is over."""
    with database.write_tx() as session:
        welcomes.forget(session, now)


def give_up(database: Database, now: datetime) -> int:
    """Forget what was typed into forms whose time is over; how many there were."""
    done = 0
    while True:
        with database.write_tx() as session:
            ended = session.execute(_GIVE_UP, {"now": now, "most": _PIECE}).all()
        done += len(ended)
        if len(ended) < _PIECE:
            return done


def give(database: Database, now: datetime) -> int:
    """Give all that is due, in pieces; how many cards got it."""
    done = 0
    with database.read_tx() as session:
        ids = [programme.id for programme in gifts.programmes(session)]
    for programme_id in ids:
        while True:
            with database.write_tx() as session:
                programme = gifts.programme(session, programme_id)
                given = gifts.birthdays(session, programme, now)
            if not given:
                break
            done += given
    return done
