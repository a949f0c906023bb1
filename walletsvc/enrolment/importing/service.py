"""Importing a base of cards: a dry run first, then the run, and its undoing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import insert
from sqlmodel import Session, col, select

from walletsvc.cards.service import require_issuing
from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict, NotFound, Refused, wrong
from walletsvc.enrolment.importing.models import (
    Import,
    ImportRow,
    ImportState,
    KnownMembers,
    RowOutcome,
)
from walletsvc.enrolment.importing.reading import Sent, read
from walletsvc.jobs import bulk
from walletsvc.jobs.bulk import BulkJob
from walletsvc.merchants.rules import check_text
from walletsvc.programmes import versions
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.programmes.rulebook import dates

CHECK: Final = "import-check"
RUN: Final = "import"
UNDO: Final = "import-undo"
_PIECE: Final = 2000


def begin(
    session: Session,
    *,
    programme: Programme,
    raw: bytes,
    file_name: str = "",
    columns: Mapping[str, str] | None = None,
    known_members: KnownMembers = KnownMembers.ADD,
    expires_at: datetime | None = None,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Import:
    """Take a list in and begin the dry run, which writes nothing but what it finds.

    The points end at `expires_at`, or by the rules of the moment when that is None. `columns`
    says what headings mean that nobody knows. Raises InputError for a file that cannot be read,
    Refused when the programme issues no cards. The same file, as often as it is sent, is another
    import; a number that one brought in is found by the next.
    """
    require_issuing(programme)
    if programme.kind is not ProgrammeKind.POINTS:
        raise Refused("Only programmes that count points can take balances in.")
    if expires_at is not None and expires_at <= now:
        raise wrong("expires_on", "must be later than today", "out_of_range")
    table = read(raw, columns or {})
    found = Import(
        organisation_id=programme.organisation_id,
        programme_id=programme.id,
        file_name=check_text("file_name", file_name, 120, required=False),
        digest=hashlib.sha256(raw).digest(),
        known_members=known_members,
        expires_at=expires_at,
        reason=check_text("reason", reason, 200),
        columns=table.columns,
        actor=str(actor),
        created_at=now,
    )
    session.add(found)
    session.flush()
    rows = _store(session, found, table.rows)
    found.job_id = _job(session, found, CHECK, "Look through", rows, actor, now).id
    session.flush()
    return found


def run(
    session: Session,
    found: Import,
    *,
    expected_total: int,
    digest: bytes,
    actor: Actor,
    now: datetime,
) -> BulkJob:
    """Begin to bring in what the dry run found good.

    `expected_total` is the sum of the balances that it said would go in, `digest` that of the
    file: whoever says run has read the report of this very list. The same again is the same job.
    Raises InputError (another sum or file) and Conflict (not looked through yet, or undone).
    """
    found = _lock(session, found)
    if digest != found.digest:
        raise wrong("digest", "is that of another file", "mismatch")
    if found.state in (ImportState.CHECKING, ImportState.UNDOING, ImportState.UNDONE):
        raise Conflict(f"The import is {found.state}: it cannot be run.", state=found.state.value)
    if expected_total != found.figures["ready_balance"]:
        raise wrong("expected_total", "is not what the dry run said would go in", "mismatch")
    if found.state is not ImportState.CHECKED:
        return session.get_one(BulkJob, found.job_id)
    programme = session.get_one(Programme, found.programme_id)
    require_issuing(programme)
    found.state, found.run_at = ImportState.RUNNING, now
    found.day = now.astimezone(ZoneInfo(programme.time_zone)).date()
    if found.expires_at is None:
        found.expires_at = _by_rules(session, programme, now)
    elif found.expires_at <= now:
        raise Refused("The points of this list have ended by now: send it again.")
    job = _job(session, found, RUN, "Import", found.figures["ready"], actor, now)
    found.job_id = job.id
    session.flush()
    return job


def undo(session: Session, found: Import, *, actor: Actor, now: datetime) -> BulkJob:
    """Begin to take out again what an import brought in, apart from what is in use by now.

    Also of one that is still running or was stopped: then no more of it comes in. Undoing again
    what was left looks at it again. Raises Conflict when nothing was run.
    """
    found = _lock(session, found)
    if found.state in (ImportState.CHECKING, ImportState.CHECKED):
        raise Conflict("The import was not run: there is nothing to undo.", state=found.state.value)
    if found.state is ImportState.UNDOING:
        return session.get_one(BulkJob, found.job_id)
    _stop(session, found, now)
    session.flush()
    found.state, found.undo_at = ImportState.UNDOING, now
    wanted = (RowOutcome.CREATED, RowOutcome.JOINED, RowOutcome.KEPT)
    rows = session.exec(
        select(col(ImportRow.row)).where(
            ImportRow.import_id == found.id, col(ImportRow.outcome).in_(wanted)
        )
    ).all()
    job = _job(session, found, UNDO, "Undo the import of", len(rows), actor, now)
    found.job_id = job.id
    session.flush()
    return job


def find(session: Session, public_id: str, organisation_id: int | None = None) -> Import:
    """The import with this public id; raises NotFound."""
    wanted = select(Import).where(Import.public_id == public_id)
    if organisation_id is not None:
        wanted = wanted.where(Import.organisation_id == organisation_id)
    found = session.exec(wanted.execution_options(populate_existing=True)).first()
    if found is None:
        raise NotFound("There is no such import.")
    return found


def newest(
    session: Session,
    organisation_id: int | None = None,
    *,
    before: Import | None = None,
    limit: int = 50,
) -> list[Import]:
    """Imports, the newest first, those begun before `before`."""
    wanted = select(Import).order_by(col(Import.id).desc()).limit(limit)
    if organisation_id is not None:
        wanted = wanted.where(Import.organisation_id == organisation_id)
    if before is not None:
        wanted = wanted.where(col(Import.id) < before.id)
    return list(session.exec(wanted))


def import_of(session: Session, job: BulkJob) -> Import:
    """The import that a job works on."""
    return session.get_one(Import, job.parameters["import_id"])


def _store(session: Session, found: Import, rows: Iterator[Sent]) -> int:
    """Keep the rows as they were sent; how many there are. They pass through in pieces."""
    count = 0
    while piece := list(islice(rows, _PIECE)):
        values: list[dict[str, Any]] = [
            {
                "import_id": found.id,
                "row": sent.row,
                "cells": sent.cells,
                "problems": sent.problems,
                "outcome": RowOutcome.WAITING,
                "name_key": "",
                "balance": 0,
                "turnover": 0,
                "person_new": False,
                "card_new": False,
                "tier_set": False,
            }
            for sent in piece
        ]
        session.execute(insert(ImportRow.__table__), values)  # type: ignore[attr-defined]
        count += len(piece)
    return count


def _job(
    session: Session, found: Import, kind: str, what: str, total: int, actor: Actor, now: datetime
) -> BulkJob:
    return bulk.begin(
        session,
        kind=kind,
        title=f"{what} {found.file_name or 'a list of cards'}",
        parameters={"import_id": found.id},
        total=total,
        actor=actor,
        now=now,
        organisation_id=found.organisation_id,
    )


def _lock(session: Session, found: Import) -> Import:
    return session.get_one(Import, found.id, with_for_update=True, populate_existing=True)


def _stop(session: Session, found: Import, now: datetime) -> None:
    """End the job that brings in: the piece under way is waited for, and none follows."""
    job = session.get_one(BulkJob, found.job_id, with_for_update=True, populate_existing=True)
    if job.state is not bulk.BulkState.DONE:
        job.state, job.problem = bulk.BulkState.DONE, "Ended early: it is undone."
        job.updated_at = job.finished_at = now
        job.waiting_since = None


def _by_rules(session: Session, programme: Programme, now: datetime) -> datetime | None:
    version = versions.current(session, programme.id)
    if version is None:
        return None
    lifetime = versions.book_of(version).lifetime
    return dates.expires_at(now, lifetime, ZoneInfo(programme.time_zone))
