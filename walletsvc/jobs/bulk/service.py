"""Beginning, finding, pausing and resuming bulk jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session, col, or_, select

from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict, NotFound, Refused
from walletsvc.jobs.bulk.models import BulkJob, BulkState
from walletsvc.storage.engine import signal

BULK: Final = "walletsvc_changes"  # the publisher does the pieces: its signal wakes it

SUPERSEDED: Final = "Ended early: a newer job does the same with what is true now."

_ADD_ITEMS: Final = text(
    "INSERT INTO bulk_items (job_id, item)"
    " SELECT DISTINCT CAST(:job_id AS bigint), item FROM unnest(CAST(:items AS bigint[])) AS item"
)


def begin(
    session: Session,
    *,
    kind: str,
    title: str,
    parameters: dict[str, Any],
    total: int,
    actor: Actor,
    now: datetime,
    organisation_id: int | None = None,
    items: Sequence[int] = (),
    supersede: bool = False,
) -> BulkJob:
    """Write down a job in the caller's transaction; workers take it up after the commit.

    `items` are ids that the job is given by name (`BulkItem`). With `supersede` unfinished
    jobs of the same kind and parameters end: this one does everything they would have done.
    A piece of theirs that is under way is waited for.
    """
    if supersede:
        _end_former(session, kind, parameters, now)
    job = BulkJob(
        organisation_id=organisation_id,
        kind=kind,
        title=title[:200],
        parameters=parameters,
        total=total,
        actor=str(actor),
        created_at=now,
        updated_at=now,
    )
    session.add(job)
    session.flush()
    if items:
        session.execute(_ADD_ITEMS, {"job_id": job.id, "items": list(items)})
    signal(session, BULK)
    return job


def current(session: Session, kind: str, parameters: dict[str, Any]) -> BulkJob | None:
    """The newest job of this kind with exactly these parameters."""
    return session.exec(
        select(BulkJob)
        .where(BulkJob.kind == kind, BulkJob.parameters == parameters)
        .order_by(col(BulkJob.id).desc())
    ).first()


def find(session: Session, public_id: str, *, organisation_id: int | None = None) -> BulkJob:
    """The job with this public id; raises NotFound.

    With `organisation_id` only its own jobs and the installation's are found.
    """
    query = select(BulkJob).where(BulkJob.public_id == public_id)
    job: BulkJob | None = session.exec(_visible(query, organisation_id)).first()
    if job is None:
        raise NotFound("There is no such bulk job.")
    return job


def newest(
    session: Session,
    *,
    organisation_id: int | None = None,
    before: BulkJob | None = None,
    limit: int = 50,
) -> list[BulkJob]:
    """Jobs, newest first, those begun before `before`; `organisation_id` as in `find`."""
    query = _visible(select(BulkJob), organisation_id).order_by(col(BulkJob.id).desc())
    if before is not None:
        query = query.where(col(BulkJob.id) < before.id)
    return list(session.exec(query.limit(limit)))


def pause(
    session: Session, public_id: str, *, now: datetime, organisation_id: int | None = None
) -> BulkJob:
    """Stop a running job where it is; the piece under way is waited for, none follows.

    Pausing a paused job changes nothing. Raises NotFound, Conflict (it has ended), and for an
    organisation Refused (the job is the installation's).
    """
    job = _lock(session, public_id, organisation_id)
    if job.state is BulkState.PAUSED:
        return job
    if job.state is not BulkState.RUNNING:
        raise Conflict(f"The job is {job.state}: there is nothing to pause.")
    job.state = BulkState.PAUSED
    job.updated_at = now
    job.waiting_since = None
    session.flush()
    return job


def resume(
    session: Session, public_id: str, *, now: datetime, organisation_id: int | None = None
) -> BulkJob:
    """Let a paused or failed job go on where it was.

    Resuming a running job changes nothing. Raises NotFound, Conflict (it is done), and for an
    organisation Refused (the job is the installation's).
    """
    job = _lock(session, public_id, organisation_id)
    if job.state is BulkState.RUNNING:
        return job
    if job.state is BulkState.DONE:
        raise Conflict("The job is done: there is nothing to resume.")
    job.state = BulkState.RUNNING
    job.updated_at = now
    job.finished_at = job.counted_from = job.problem = None
    job.failures = 0
    session.flush()
    signal(session, BULK)
    return job


def _visible(query: Any, organisation_id: int | None) -> Any:
    if organisation_id is None:
        return query
    owner = col(BulkJob.organisation_id)
    return query.where(or_(owner == organisation_id, owner.is_(None)))


def _lock(session: Session, public_id: str, organisation_id: int | None) -> BulkJob:
    found = find(session, public_id, organisation_id=organisation_id)
    if organisation_id is not None and found.organisation_id is None:
        raise Refused("This job is the whole installation's: only its operator may do that.")
    return session.get_one(BulkJob, found.id, with_for_update=True, populate_existing=True)


def _end_former(session: Session, kind: str, parameters: dict[str, Any], now: datetime) -> None:
    former = session.exec(
        select(BulkJob)
        .where(
            BulkJob.kind == kind,
            BulkJob.parameters == parameters,
            col(BulkJob.state) != BulkState.DONE,
        )
        .order_by(col(BulkJob.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    for job in former:
        job.state = BulkState.DONE
        job.problem = SUPERSEDED
        job.updated_at = job.finished_at = now
        job.waiting_since = None
    session.flush()
