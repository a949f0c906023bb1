"""Organisations and branches: founding and finding them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from walletsvc.core.errors import Conflict, NotFound
from walletsvc.core.ids import public_id
from walletsvc.merchants.models import Branch, Organisation
from walletsvc.merchants.rules import check_slug, check_text, check_time_zone


def create_organisation(
    session: Session,
    *,
    slug: str,
    name: str,
    phone: str | None = None,
    website: str | None = None,
    now: datetime,
) -> Organisation:
    """A new organisation. `phone` is the support number as customers should read it.

    Raises InputError naming the field, or Conflict when the slug is taken.
    """
    values = {
        "public_id": public_id(),
        "slug": check_slug(slug),
        "name": check_text("name", name, 120),
        "phone": check_text("phone", phone, 20) if phone is not None else None,
        "website": check_text("website", website, 200) if website is not None else None,
        "created_at": now,
    }
    created = session.execute(
        insert(Organisation)
        .values(**values)
        .on_conflict_do_nothing(index_elements=["slug"])
        .returning(col(Organisation.id))
    ).scalar()
    if created is None:
        raise Conflict(f"There is an organisation '{slug}' already.")
    return session.get_one(Organisation, created)


def find_organisation(session: Session, slug: str) -> Organisation:
    """The organisation with this slug; raises NotFound."""
    found = session.exec(select(Organisation).where(Organisation.slug == slug)).first()
    if found is None:
        raise NotFound(f"There is no organisation '{slug}'.")
    return found


def create_branch(
    session: Session,
    *,
    organisation_id: int,
    name: str,
    address: str = "",
    time_zone: str = "Europe/Moscow",
    now: datetime,
) -> Branch:
    """A new branch, switched on. Raises InputError naming the field."""
    branch = Branch(
        organisation_id=organisation_id,
        name=check_text("name", name, 120),
        address=check_text("address", address, 200, required=False),
        time_zone=check_time_zone(time_zone),
        created_at=now,
    )
    session.add(branch)
    session.flush()
    return branch


def switch_branch(session: Session, public_id: str, *, on: bool, now: datetime) -> Branch:
    """Let a branch take cards and certificates, or nothing from now on; raises NotFound.

    What it sold before it was switched off is still taken. Saying it twice changes nothing.
    """
    branch = find_branch(session, public_id)
    if branch.active and not on:
        branch.switched_off_at = now
    elif on:
        branch.switched_off_at = None
    branch.active = on
    session.add(branch)
    session.flush()
    return branch


def list_branches(session: Session, organisation_id: int) -> Sequence[Branch]:
    """An organisation's branches, the oldest first."""
    wanted = select(Branch).where(Branch.organisation_id == organisation_id)
    return session.exec(wanted.order_by(col(Branch.id))).all()


def find_branch(session: Session, public_id: str) -> Branch:
    """The branch with this public id; raises NotFound."""
    found = session.exec(select(Branch).where(Branch.public_id == public_id)).first()
    if found is None:
        raise NotFound(f"There is no branch {public_id}.")
    return found
