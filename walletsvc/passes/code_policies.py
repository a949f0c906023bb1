"""Switching what a programme's cards show, and the bulk job that puts it on their passes."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.cards.codes import service as codes
from walletsvc.core.actor import Actor
from walletsvc.core.errors import Refused
from walletsvc.jobs import bulk
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.runner import Handler, Piece
from walletsvc.passes.publish import Cause, Publisher
from walletsvc.passes.spreading import Publishing
from walletsvc.programmes.locking import lock
from walletsvc.programmes.models import CodePolicy, Programme, ProgrammeKind

CODES: Final = "codes"  # parameters: programme_id

_COUNT: Final = text("SELECT count(*) FROM cards WHERE programme_id = :id")
_AFTER: Final = text(
    "SELECT id FROM cards WHERE programme_id = :id AND id > :cursor ORDER BY id LIMIT :limit"
)
_PASSES: Final = text("SELECT id FROM passes WHERE card_id = ANY(:ids) AND revision > 0")
_CAUSE: Final = frozenset({"codes"})


def switch(
    session: Session, programme: Programme, policy: CodePolicy, *, actor: Actor, now: datetime
) -> BulkJob | None:
    """Let the programme's cards show codes by this policy from now on; None: they do already.

    Tills go by it at once. The passes follow: until theirs does, a card shows its number, which
    identifies it. Raises Refused for certificates, whose code is their money, and for a closed
    programme.
    """
    locked = lock(session, programme)  # cards that are issued after it go by the new policy
    if locked.kind is ProgrammeKind.GIFT:
        raise Refused(f"The programme '{locked.slug}' issues certificates, not cards.")
    if locked.code_policy is policy:
        return None
    locked.code_policy = policy
    session.flush()
    return bulk.begin(
        session,
        kind=CODES,
        title=f"Codes of '{locked.slug}': {policy.value}",
        parameters={"programme_id": locked.id},
        total=int(session.execute(_COUNT, {"id": locked.id}).scalar_one()),
        actor=actor,
        now=now,
        organisation_id=locked.organisation_id,
        supersede=True,
    )


def handlers(publisher: Publisher) -> dict[str, Handler]:
    """What the runner needs to do these jobs."""

    def spread(session: Session, job: BulkJob, limit: int, now: datetime) -> Piece:
        programme = session.get_one(Programme, job.parameters["programme_id"])
        values = {"id": programme.id, "cursor": job.cursor, "limit": limit}
        ids = session.execute(_AFTER, values).scalars().all()
        codes.ensure(session, ids, programme.code_policy, now)
        passes = session.execute(_PASSES, {"ids": list(ids)}).scalars().all()
        publishing = Publishing(session, publisher, Cause(_CAUSE, job.created_at), now)
        bad = publishing.publish(publisher.held(session, passes))
        return Piece(
            cursor=ids[-1] if ids else job.cursor,
            done=len(ids),
            finished=len(ids) < limit,
            counted={"set_aside": bad},
        )

    return {CODES: spread}
