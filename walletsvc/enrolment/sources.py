"""Where people meet the form: posters, campaigns, links; and how many came by each."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session, col, func, select

from walletsvc.core.codes import ALPHABET
from walletsvc.core.errors import Conflict, NotFound, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.enrolment.models import Application, ApplicationState, JoinSource, Registration
from walletsvc.merchants.models import Branch
from walletsvc.merchants.rules import check_text
from walletsvc.programmes.models import Programme

_LENGTH: Final = 6  # some 600 million: short enough to be typed from a poster
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Counted:
    """A source, the branch it stands in, and what came of it: forms sent in and cards issued."""

    source: JoinSource
    branch: Branch | None
    applications: int
    given_up: int
    cards: int


def create(
    session: Session,
    programme: Programme,
    *,
    branch: str | None = None,
    campaign: str = "",
    label: str = "",
    now: datetime,
) -> JoinSource:
    """A new source with a short code of its own. `branch` is a public id.

    Raises InputError naming the field.
    """
    place = None if branch is None else _branch(session, programme, branch)
    source = JoinSource(
        programme_id=programme.id,
        code=_new_code(session),
        branch_id=place.id if place else None,
        campaign=check_text("campaign", campaign, 80, required=False),
        label=check_text("label", label, 120, required=False),
        created_at=now,
    )
    session.add(source)
    session.flush()
    return source


def by_code(session: Session, code: str) -> JoinSource | None:
    """The source whose short link this is, whatever the case of its letters; also a closed one."""
    return session.exec(select(JoinSource).where(JoinSource.code == code.strip().upper())).first()


def find(session: Session, organisation_id: int, public_id: str) -> JoinSource:
    """The organisation's source with this public id; raises NotFound."""
    found = None
    if PUBLIC_ID.fullmatch(public_id):
        found = session.exec(
            select(JoinSource)
            .join(Programme, col(Programme.id) == col(JoinSource.programme_id))
            .where(JoinSource.public_id == public_id, Programme.organisation_id == organisation_id)
        ).first()
    if found is None:
        raise NotFound("There is no such source.")
    return found


def close(session: Session, source: JoinSource, now: datetime) -> JoinSource:
    """Nobody is counted to it any more; its link leads to the plain form."""
    locked = session.get_one(JoinSource, source.id, with_for_update=True, populate_existing=True)
    locked.closed_at = locked.closed_at or now
    session.flush()
    return locked


def counted(session: Session, programme: Programme) -> Sequence[Counted]:
    """The programme's sources, newest first, with what came of each."""
    sent = dict(
        session.exec(
            select(Application.source_id, func.count())
            .where(Application.programme_id == programme.id)
            .group_by(col(Application.source_id))
        ).all()
    )
    lost = dict(
        session.exec(
            select(Application.source_id, func.count())
            .where(
                Application.programme_id == programme.id,
                Application.state == ApplicationState.GIVEN_UP,
            )
            .group_by(col(Application.source_id))
        ).all()
    )
    cards = dict(
        session.exec(
            select(Registration.source_id, func.count())
            .join(JoinSource, col(JoinSource.id) == col(Registration.source_id))
            .where(JoinSource.programme_id == programme.id)
            .group_by(col(Registration.source_id))
        ).all()
    )
    rows = session.exec(
        select(JoinSource, Branch)
        .join(Branch, col(Branch.id) == col(JoinSource.branch_id), isouter=True)
        .where(JoinSource.programme_id == programme.id)
        .order_by(col(JoinSource.id).desc())
    )
    return [
        Counted(
            source, branch, sent.get(source.id, 0), lost.get(source.id, 0), cards.get(source.id, 0)
        )
        for source, branch in rows
    ]


def _branch(session: Session, programme: Programme, public_id: str) -> Branch:
    found = session.exec(
        select(Branch).where(
            Branch.public_id == public_id, Branch.organisation_id == programme.organisation_id
        )
    ).first()
    if found is None:
        raise wrong("branch", "is not a branch of yours", "unknown")
    return found


def _new_code(session: Session) -> str:
    for _ in range(_TRIES):
        code = "".join(secrets.choice(ALPHABET) for _ in range(_LENGTH))
        if by_code(session, code) is None:
            return code
    raise Conflict("No short code is free; please try again.")
