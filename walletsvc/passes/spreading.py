"""Bulk jobs that publish passes: those of a template, and those of a pass type.

A new template version or signing certificate changes every pass made under it. Passes that
nobody ever took are left alone, and of the others those that no phone holds are published
when asked for, as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.jobs import bulk
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.runner import Handler, Piece
from walletsvc.jobs.changes import Lane, touch
from walletsvc.passes.models import PassTemplate
from walletsvc.passes.publish import Cause, Publisher
from walletsvc.programmes.models import Programme

log = structlog.get_logger(__name__)

TEMPLATE: Final = "template"  # parameters: template_id
CERTIFICATE: Final = "certificate"  # parameters: pass_type_id

# So few pushes wait that pausing is felt at once and a purchase's push passes them quickly,
# and so many that the senders never run dry.
MOST_WAITING: Final = 3000

_COUNT: Final = text("SELECT count(*) FROM passes WHERE template_id = :id AND revision > 0")
_AFTER: Final = {
    kind: text(
        f"SELECT id FROM passes WHERE {column} = :subject"  # noqa: S608 - of the two below
        " AND id > :cursor AND revision > 0 ORDER BY id LIMIT :limit"
    )
    for kind, column in ((TEMPLATE, "template_id"), (CERTIFICATE, "pass_type_id"))
}
_LOCK: Final = text("SELECT id FROM passes WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
_TEMPLATES: Final = text(
    "SELECT id FROM pass_templates"
    " WHERE id = CAST(:template_id AS bigint) OR programme_id = CAST(:programme_id AS bigint)"
)


def begin_template(
    session: Session,
    parent: PassTemplate,
    programme: Programme,
    version: int,
    *,
    actor: Actor,
    now: datetime,
) -> BulkJob:
    """Begin to publish the passes of a template anew.

    A job that still spreads a former version ends: this one looks at every pass again.
    """
    return bulk.begin(
        session,
        kind=TEMPLATE,
        title=f"Template of '{programme.slug}', version {version}",
        parameters={"template_id": parent.id},
        total=int(session.execute(_COUNT, {"id": parent.id}).scalar_one()),
        actor=actor,
        now=now,
        organisation_id=programme.organisation_id,
        supersede=True,
    )


_CAUSES: Final = {TEMPLATE: frozenset({"template"}), CERTIFICATE: frozenset({"renewal"})}


def handlers(publisher: Publisher) -> dict[str, Handler]:
    """What the runner needs to do these jobs."""

    def spread(session: Session, job: BulkJob, limit: int, now: datetime) -> Piece:
        subject = job.parameters[f"{'template' if job.kind == TEMPLATE else 'pass_type'}_id"]
        values = {"subject": subject, "cursor": job.cursor, "limit": limit}
        ids = session.execute(_AFTER[job.kind], values).scalars().all()
        cause = Cause(_CAUSES[job.kind], job.created_at)
        publishing = Publishing(session, publisher, cause, now)
        bad = publishing.publish(publisher.held(session, ids))
        return Piece(
            cursor=ids[-1] if ids else job.cursor,
            done=len(ids),
            finished=len(ids) < limit,
            counted={"set_aside": bad},
        )

    return {TEMPLATE: spread, CERTIFICATE: spread}


def must_wait(publisher: Publisher, session: Session, job: BulkJob) -> bool:
    """Whether enough pushes of the job's passes are on their way.

    Points do not wait for pushes that are stopped or paused: a lost push costs freshness only.
    """
    given = job.parameters
    points = "programme_id" in given
    if "pass_type_id" in given:
        kinds = {given["pass_type_id"]}
    else:
        wanted = {name: given.get(name) for name in ("template_id", "programme_id")}
        kinds = publisher.pass_types(session, session.execute(_TEMPLATES, wanted).scalars().all())
    return any(
        publisher.backlog(session, kind, MOST_WAITING, standing=not points) >= MOST_WAITING
        for kind in kinds
    )


@dataclass(frozen=True)
class Publishing:
    """Publishing a piece, of which single passes may fail."""

    session: Session
    publisher: Publisher
    cause: Cause
    now: datetime

    def publish(self, ids: set[int]) -> int:
        """Publish the passes; returns how many cannot be, which are handed to the change log."""
        if self._attempt(ids):
            return 0
        # All locks first: halves that are locked one after the other could wait for someone who
        # waits for the pass type's counter, which the first half has taken.
        self.session.execute(_LOCK, {"ids": sorted(ids)})
        return self._halves(sorted(ids))

    def _halves(self, ids: Sequence[int]) -> int:
        if len(ids) == 1:
            # The drain tries it again every minute, and says what is wrong with it.
            touch(self.session, "pass", ids, at=self.now, lane=Lane.BULK)
            return 1
        middle = len(ids) // 2
        return sum(
            self._halves(half) for half in (ids[:middle], ids[middle:]) if not self._attempt(half)
        )

    def _attempt(self, ids: Sequence[int] | set[int]) -> bool:
        attempt = self.session.begin_nested()
        causes = dict.fromkeys(ids, self.cause)
        try:
            self.publisher.publish(self.session, ids, lane=Lane.BULK, now=self.now, causes=causes)
        except OperationalError:
            raise
        except Exception:
            log.exception("passes cannot be published", count=len(ids))
            attempt.rollback()
            return False
        attempt.commit()
        return True
