"""Beginning and finding rehearsals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlmodel import Session, col, select

from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict, NotFound, wrong
from walletsvc.jobs import bulk
from walletsvc.jobs.bulk import BulkJob
from walletsvc.programmes import references, versions
from walletsvc.programmes.models import Programme, RuleVersion
from walletsvc.sales.rehearsing.models import Rehearsal
from walletsvc.sales.rehearsing.rules import digest

KIND: Final = "rehearsal"

_FIRST_YEAR: Final = 2000
_TOTAL: Final = text(
    "SELECT (SELECT count(DISTINCT account_id) FROM cards WHERE programme_id = :programme_id),"
    " (SELECT coalesce(max(id), 0) FROM purchases)"
)


def begin(
    session: Session,
    programme: Programme,
    first_day: date,
    last_day: date,
    branches: Sequence[str],
    actor: Actor,
    now: datetime,
) -> Rehearsal:
    """Begin to try the programme's draft on the purchases of these local days, both included.

    With `branches` (public ids) only purchases there are counted; those elsewhere still make
    tiers. Raises Conflict when there is no draft, and InputError naming the field.
    """
    _check_days(first_day, last_day, now.astimezone(ZoneInfo(programme.time_zone)).date())
    named = sorted(set(branches))
    references.require_branches(session, programme, "branches", branches)
    draft = versions.find_draft(session, programme.id)
    if draft is None:
        raise Conflict(f"The programme '{programme.slug}' has no draft of its rules to rehearse.")
    total, last = session.execute(_TOTAL, {"programme_id": programme.id}).one()
    job = bulk.begin(
        session,
        kind=KIND,
        title=f"Rehearsal of version {draft.number} of '{programme.slug}',"
        f" {first_day} to {last_day}",
        parameters={"programme_id": programme.id},
        total=total,
        actor=actor,
        now=now,
        organisation_id=programme.organisation_id,
    )
    rehearsal = Rehearsal(
        programme_id=programme.id,
        rule_version_id=draft.id,
        job_id=job.id,
        digest=digest(draft.book),
        book=draft.book,
        first_day=first_day,
        last_day=last_day,
        branches=named,
        last_purchase_id=last,
        actor=str(actor),
        created_at=now,
    )
    session.add(rehearsal)
    session.flush()
    return rehearsal


def find(session: Session, programme: Programme, public_id: str) -> Rehearsal:
    """The programme's rehearsal with this public id; raises NotFound."""
    found = session.exec(
        select(Rehearsal).where(
            Rehearsal.public_id == public_id, Rehearsal.programme_id == programme.id
        )
    ).first()
    if found is None:
        raise NotFound("There is no such rehearsal.")
    return found


def newest(
    session: Session, programme: Programme, *, before: int | None = None, limit: int = 50
) -> Sequence[Rehearsal]:
    """The programme's rehearsals, newest first, those begun before the one with the id `before`."""
    wanted = select(Rehearsal).where(Rehearsal.programme_id == programme.id)
    if before is not None:
        wanted = wanted.where(col(Rehearsal.id) < before)
    return session.exec(wanted.order_by(col(Rehearsal.id).desc()).limit(limit)).all()


def job_of(session: Session, rehearsal: Rehearsal) -> BulkJob:
    """The job that computes it."""
    return session.get_one(BulkJob, rehearsal.job_id, populate_existing=True)


def version_of(session: Session, rehearsal: Rehearsal) -> tuple[int, bool]:
    """The number of the version it is of, and whether that has other rules by now."""
    version = session.get_one(RuleVersion, rehearsal.rule_version_id, populate_existing=True)
    return version.number, digest(version.book) != rehearsal.digest


def _check_days(first: date, last: date, today: date) -> None:
    if first.year < _FIRST_YEAR:
        raise wrong("from", "must be a day of this century", "out_of_range")
    if first > today:
        raise wrong("from", "must not be in the future", "out_of_range")
    if last < first:
        raise wrong("until", "must not be before `from`", "out_of_range")
    if last > today:
        raise wrong("until", "must not be in the future", "out_of_range")
