"""Branch groups: branches that rules name together.

A group is an organisation's own. It may hold branches of that organisation and of those that
accept its points, since the rules that name it are of programmes whose cards work there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, delete, select

from walletsvc.core.errors import Conflict, NotFound, Refused
from walletsvc.core.ids import public_id
from walletsvc.merchants.models import Acceptance, Branch, BranchGroup, BranchGroupMember
from walletsvc.merchants.rules import check_slug, check_text


def create_branch_group(
    session: Session, *, organisation_id: int, slug: str, name: str, now: datetime
) -> BranchGroup:
    """A new, empty group. Raises InputError naming the field, or Conflict (slug taken)."""
    values = {
        "public_id": public_id(),
        "organisation_id": organisation_id,
        "slug": check_slug(slug),
        "name": check_text("name", name, 120),
        "created_at": now,
    }
    created = session.execute(
        insert(BranchGroup)
        .values(**values)
        .on_conflict_do_nothing(index_elements=["organisation_id", "slug"])
        .returning(col(BranchGroup.id))
    ).scalar()
    if created is None:
        raise Conflict(f"There is a branch group '{slug}' already.")
    return session.get_one(BranchGroup, created)


def find_branch_group(session: Session, organisation_id: int, slug: str) -> BranchGroup:
    """The organisation's group with this slug; raises NotFound."""
    found = session.exec(
        select(BranchGroup).where(
            BranchGroup.organisation_id == organisation_id, BranchGroup.slug == slug
        )
    ).first()
    if found is None:
        raise NotFound(f"There is no branch group '{slug}'.")
    return found


def add_branch(session: Session, group: BranchGroup, branch: Branch) -> None:
    """Put a branch into the group; twice is once.

    Raises Refused for a branch of an organisation that does not accept the points of the group's.
    """
    if branch.organisation_id != group.organisation_id:
        accepted = session.get(
            Acceptance, (group.organisation_id, branch.organisation_id), populate_existing=True
        )
        if accepted is None or not accepted.points:
            raise Refused(
                f"The branch '{branch.name}' is of an organisation that does not accept these"
                " points."
            )
    session.execute(
        insert(BranchGroupMember)
        .values(group_id=group.id, branch_id=branch.id)
        .on_conflict_do_nothing()
    )


def remove_branch(session: Session, group: BranchGroup, branch: Branch) -> None:
    """Take a branch out of the group; raises NotFound when it is not in it."""
    gone = session.execute(
        delete(BranchGroupMember)
        .where(
            col(BranchGroupMember.group_id) == group.id,
            col(BranchGroupMember.branch_id) == branch.id,
        )
        .returning(col(BranchGroupMember.branch_id))
    ).scalar()
    if gone is None:
        raise NotFound(f"The branch '{branch.name}' is not in the group '{group.slug}'.")


def list_branch_groups(
    session: Session, organisation_id: int
) -> list[tuple[BranchGroup, list[Branch]]]:
    """An organisation's groups by slug, each with its branches."""
    groups = session.exec(
        select(BranchGroup)
        .where(BranchGroup.organisation_id == organisation_id)
        .order_by(col(BranchGroup.slug))
    ).all()
    members: dict[int, list[Branch]] = {group.id: [] for group in groups}
    rows = session.exec(
        select(BranchGroupMember.group_id, Branch)
        .join(Branch, col(Branch.id) == col(BranchGroupMember.branch_id))
        .where(col(BranchGroupMember.group_id).in_(list(members)))
        .order_by(col(Branch.id))
    )
    for group_id, branch in rows:
        members[group_id].append(branch)
    return [(group, members[group.id]) for group in groups]


def groups_of(session: Session, organisation_id: int, branch_id: int) -> Sequence[str]:
    """The slugs of the organisation's groups that the branch is in."""
    return session.exec(
        select(BranchGroup.slug)
        .join(BranchGroupMember, col(BranchGroupMember.group_id) == col(BranchGroup.id))
        .where(
            BranchGroup.organisation_id == organisation_id,
            BranchGroupMember.branch_id == branch_id,
        )
        .order_by(col(BranchGroup.slug))
    ).all()
