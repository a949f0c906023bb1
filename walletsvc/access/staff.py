"""People who work for an organisation: kept, found, let go, made responsible for branches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from walletsvc.access.models import Staff
from walletsvc.core.errors import NotFound, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.merchants.models import Branch
from walletsvc.merchants.rules import check_text


def create_staff(
    session: Session,
    *,
    organisation_id: int,
    name: str,
    phone: str | None = None,
    email: str | None = None,
    language: str = "ru",
    now: datetime,
) -> Staff:
    """A new employee; phone (E.164) and e-mail are where notices go, and neither is needed.

    Raises InputError naming the field.
    """
    employee = Staff(
        organisation_id=organisation_id,
        name=check_text("name", name, 120),
        phone=phone,
        email=email,
        language=language,
        created_at=now,
    )
    session.add(employee)
    session.flush()
    return employee


def find_staff(session: Session, organisation_id: int, public_id: str) -> Staff:
    """The organisation's employee with this public id, also one who was let go; raises
    NotFound."""
    found = None
    if PUBLIC_ID.fullmatch(public_id):
        found = session.exec(
            select(Staff).where(
                Staff.public_id == public_id, Staff.organisation_id == organisation_id
            )
        ).first()
    if found is None:
        raise NotFound("There is no such employee.")
    return found


def named_staff(session: Session, organisation_id: int, public_id: str, field: str) -> Staff:
    """The employee that a field of a request names; raises InputError naming it for one who is
    none or was let go."""
    try:
        found = find_staff(session, organisation_id, public_id)
    except NotFound:
        raise wrong(field, "is not an employee of yours", "unknown") from None
    if found.closed_at is not None:
        raise wrong(field, "does not work for you any more", "not_allowed")
    return found


def list_staff(
    session: Session, organisation_id: int, *, after: int = 0, limit: int | None = None
) -> Sequence[Staff]:
    """Everybody who works or worked for the organisation, in order of their coming."""
    query = (
        select(Staff)
        .where(Staff.organisation_id == organisation_id, col(Staff.id) > after)
        .order_by(col(Staff.id))
    )
    return session.exec(query if limit is None else query.limit(limit)).all()


def close_staff(session: Session, employee: Staff, now: datetime) -> Staff:
    """Let an employee go: no notices come any more. What they did stays theirs."""
    locked = session.get_one(Staff, employee.id, with_for_update=True, populate_existing=True)
    locked.closed_at = locked.closed_at or now
    session.flush()
    return locked


def make_responsible(session: Session, branch_id: str, employee: str | None) -> Branch:
    """Have this employee told of what happens to a branch's members; with None nobody is.

    Both are public ids. Raises NotFound, InputError naming `employee`.
    """
    branch = session.exec(
        select(Branch).where(Branch.public_id == branch_id).with_for_update()
    ).first()
    if branch is None:
        raise NotFound(f"There is no branch {branch_id}.")
    found = None
    if employee is not None:
        found = named_staff(session, branch.organisation_id, employee, "employee")
    branch.responsible_id = found.id if found else None
    session.flush()
    return branch
