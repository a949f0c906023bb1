"""Who takes what: one organisation what another issued, a branch anything at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, delete, select

from walletsvc.core.errors import NotAccepted, NotFound, wrong
from walletsvc.merchants.models import Acceptance, Branch, Organisation


@dataclass(frozen=True, slots=True)
class AcceptanceRow:
    """The acceptor takes the issuer's points, certificates or both."""

    issuer: Organisation
    acceptor: Organisation
    points: bool
    certificates: bool
    created_at: datetime


def require_accepted(session: Session, *, issuer_id: int, acceptor_id: int, points: bool) -> None:
    """Raises NotAccepted unless the acceptor takes the issuer's points (or certificates).

    An organisation always takes its own.
    """
    if not accepts(session, issuer_id=issuer_id, acceptor_id=acceptor_id, points=points):
        what = "cards" if points else "certificates"
        raise NotAccepted(f"This organisation does not take the {what} of the one that issued it.")


def accepts(session: Session, *, issuer_id: int, acceptor_id: int, points: bool) -> bool:
    """Whether the acceptor takes the issuer's points (or certificates); always its own."""
    if issuer_id == acceptor_id:
        return True
    row = session.get(Acceptance, (issuer_id, acceptor_id), populate_existing=True)
    return row is not None and (row.points if points else row.certificates)


def require_open(branch: Branch | None) -> None:
    """Raises NotAccepted when the branch is switched off; no branch at all is nobody's switch."""
    if branch is not None and not branch.active:
        raise NotAccepted(f"The branch '{branch.name}' is switched off.")


def require_open_branch(session: Session, branch_id: int | None) -> None:
    """The same of a branch by its id, read anew."""
    if branch_id is not None:
        require_open(session.get_one(Branch, branch_id, populate_existing=True))


def accept(
    session: Session,
    issuer: Organisation,
    acceptor: Organisation,
    points: bool,
    certificates: bool,
    now: datetime,
) -> Acceptance:
    """From now on the acceptor takes exactly this of what the issuer issues.

    Raises InputError when they are the same organisation, or when neither is taken: what is
    taken no longer is said with `stop_accepting`.
    """
    if issuer.id == acceptor.id:
        raise wrong(
            "acceptor", "must be another organisation: one's own is always accepted", "not_allowed"
        )
    if not (points or certificates):
        raise wrong("points", "either points or certificates must be accepted", "not_allowed")
    taken = {"points": points, "certificates": certificates}
    session.execute(
        insert(Acceptance)
        .values(issuer_id=issuer.id, acceptor_id=acceptor.id, created_at=now, **taken)
        .on_conflict_do_update(index_elements=["issuer_id", "acceptor_id"], set_=taken)
    )
    return session.get_one(Acceptance, (issuer.id, acceptor.id), populate_existing=True)


def stop_accepting(session: Session, issuer: Organisation, acceptor: Organisation) -> None:
    """The acceptor takes nothing of the issuer's any more; what is owed already stays owed.

    Raises NotFound when it took nothing before.
    """
    ended = session.execute(
        delete(Acceptance)
        .where(col(Acceptance.issuer_id) == issuer.id, col(Acceptance.acceptor_id) == acceptor.id)
        .returning(col(Acceptance.issuer_id))
    ).scalar()
    if ended is None:
        raise NotFound(f"'{acceptor.slug}' accepts nothing of '{issuer.slug}'.")


def list_acceptances(
    session: Session, organisation_id: int | None = None
) -> Sequence[AcceptanceRow]:
    """Who accepts what of whom, of one organisation on either side or of all; by slug."""
    issuer, acceptor = aliased(Organisation), aliased(Organisation)
    wanted = select(Acceptance, issuer, acceptor).join(
        issuer, and_(col(issuer.id) == Acceptance.issuer_id)
    )
    wanted = wanted.join(acceptor, and_(col(acceptor.id) == Acceptance.acceptor_id))
    if organisation_id is not None:
        wanted = wanted.where(
            or_(
                col(Acceptance.issuer_id) == organisation_id,
                col(Acceptance.acceptor_id) == organisation_id,
            )
        )
    rows = session.exec(wanted.order_by(col(issuer.slug), col(acceptor.slug)))
    return [
        AcceptanceRow(by, at, row.points, row.certificates, row.created_at)
        for row, by, at in rows.all()
    ]
