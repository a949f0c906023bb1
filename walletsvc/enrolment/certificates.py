"""Certificates that come into being together with their passes: many at once, and by transfer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from walletsvc.certificates import batches
from walletsvc.certificates.life import hand_over
from walletsvc.certificates.models import BatchRow, Certificate, Origin
from walletsvc.core.actor import Actor
from walletsvc.enrolment.service import IssuedCertificate, issue_certificate
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.runner import Handler, Piece
from walletsvc.jobs.changes import Lane
from walletsvc.passes.service import create_passes
from walletsvc.programmes.models import Programme

# A certificate takes several statements: more of them in one piece would hold purchases up.
_PIECE: Final = 40


def transfer_certificate(
    session: Session,
    certificate: Certificate,
    *,
    recipient_name: str = "",
    language: str = "ru",
    actor: Actor,
    reason: str,
    now: datetime,
) -> IssuedCertificate:
    """All that is left of a certificate as another person's: a new code, link and passes.

    The old code is dead and the old passes are voided. Raises as `certificates.life.hand_over`.
    """
    new, code = hand_over(
        session,
        certificate,
        recipient_name=recipient_name,
        language=language,
        actor=actor,
        reason=reason,
        now=now,
    )
    programme = session.get_one(Programme, new.programme_id)
    passes = create_passes(session, certificate=new, programme=programme, now=now)
    return IssuedCertificate(new, code, passes)


def handlers() -> Mapping[str, Handler]:
    """What the bulk runner does for a list of recipients."""
    return {batches.KIND: _issue_piece}


def _issue_piece(session: Session, job: BulkJob, size: int, now: datetime) -> Piece:
    """Issue the certificates of the next rows. A row's certificate is committed together with
    the job's cursor and with its own id in the row, so a row has one at most."""
    limit = min(size, _PIECE)
    rows = session.exec(
        select(BatchRow)
        .where(BatchRow.job_id == job.id, BatchRow.row > job.cursor)
        .order_by(col(BatchRow.row))
        .limit(limit)
    ).all()
    parameters: dict[str, Any] = job.parameters
    programme = session.get_one(Programme, parameters["programme_id"])
    issued = 0
    for row in rows:
        if row.certificate_id is not None:
            continue
        made = issue_certificate(
            session,
            programme=programme,
            face_value=row.face_value,
            origin=Origin(parameters["origin"]),
            recipient_name=row.recipient_name,
            language=row.language,
            expires_at=_moment(parameters["expires_at"]),
            branch_id=parameters["branch_id"],
            actor=Actor.parse(job.actor),
            reason=parameters["reason"],
            now=now,
            lane=Lane.BULK,
        )
        row.certificate_id = made.certificate.id
        issued += 1
    session.flush()
    cursor = rows[-1].row if rows else job.cursor
    return Piece(cursor, len(rows), len(rows) < limit, {"issued": issued})


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
