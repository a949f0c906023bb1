"""Many certificates at once: a list of recipients, checked as a whole, issued as a bulk job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import insert
from sqlmodel import Session, col, select

from walletsvc.certificates.issuing import LANGUAGES, require_programme
from walletsvc.certificates.models import BatchRow, Certificate, Origin
from walletsvc.certificates.recipients import Recipient, check
from walletsvc.core.actor import Actor
from walletsvc.core.errors import NotFound
from walletsvc.jobs import bulk
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.service import find as find_job
from walletsvc.merchants.acceptance import require_open_branch
from walletsvc.merchants.rules import check_text
from walletsvc.programmes.models import Programme

KIND: Final = "gift-certificates"


def begin(
    session: Session,
    *,
    programme: Programme,
    recipients: Sequence[Recipient],
    origin: Origin,
    expires_at: datetime | None = None,
    branch_id: int | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
) -> BulkJob:
    """Begin to issue a certificate to each recipient.

    Raises InputError naming every bad row by place and field, Refused (programme), NotAccepted
    (branch); nothing is begun then.
    """
    require_programme(programme)
    require_open_branch(session, branch_id)
    reason = check_text("reason", reason, 200)
    check(recipients, [], "{}.{}".format)
    job = bulk.begin(
        session,
        kind=KIND,
        title=f"{len(recipients):,} certificates of '{programme.slug}'",
        parameters={
            "programme_id": programme.id,
            "origin": origin.value,
            "reason": reason,
            "expires_at": expires_at.isoformat() if expires_at else None,
            "branch_id": branch_id,
            "amount": sum(recipient.amount for recipient in recipients),
        },
        total=len(recipients),
        actor=actor,
        now=now,
        organisation_id=programme.organisation_id,
    )
    rows = [
        {
            "job_id": job.id,
            "row": number,
            "face_value": recipient.amount,
            "recipient_name": check_text("name", recipient.name, 120, required=False),
            "language": recipient.language or LANGUAGES[0],
        }
        for number, recipient in enumerate(recipients, start=1)
    ]
    session.execute(insert(BatchRow), rows)
    return job


def find(session: Session, public_id: str, organisation_id: int | None = None) -> BulkJob:
    """The bulk issue with this public id; raises NotFound, also for other kinds of job."""
    job = find_job(session, public_id, organisation_id=organisation_id)
    if job.kind != KIND:
        raise NotFound("There is no such bulk job.")
    return job


def rows(
    session: Session, job: BulkJob, *, after: int = 0, limit: int
) -> list[tuple[BatchRow, Certificate | None]]:
    """The rows after that number in the order of the list, with what they became."""
    found = session.exec(
        select(BatchRow, Certificate)
        .outerjoin(Certificate, col(Certificate.id) == col(BatchRow.certificate_id))
        .where(BatchRow.job_id == job.id, BatchRow.row > after)
        .order_by(col(BatchRow.row))
        .limit(limit)
    )
    return [(row, certificate) for row, certificate in found]
