"""Organisations, branches, groups of branches, and who accepts whose cards and certificates."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import moment, primary_key, reference


class Organisation(SQLModel, table=True):
    """A legal entity or partner inside the installation; everything of value belongs to one."""

    __tablename__ = "organisations"

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    slug: str = Field(unique=True, max_length=40)
    name: str = Field(max_length=120)
    phone: str | None = Field(default=None, max_length=20)
    website: str | None = Field(default=None, max_length=200)
    created_at: datetime = moment()


class Branch(SQLModel, table=True):
    """A place where cards are accepted; it can be switched off by itself.

    `switched_off_at` says since when, if that is known. `responsible_id` is the employee who is
    told of what happens to its members.
    """

    __tablename__ = "branches"

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id")
    name: str = Field(max_length=120)
    address: str = Field(default="", max_length=200)
    time_zone: str = Field(default="Europe/Moscow", max_length=64)
    active: bool = Field(default=True)
    switched_off_at: datetime | None = moment(nullable=True)
    responsible_id: int | None = reference("staff.id", nullable=True)
    created_at: datetime = moment()


class BranchGroup(SQLModel, table=True):
    """Branches that an organisation's rules name together; they may be those of partners."""

    __tablename__ = "branch_groups"
    __table_args__ = (UniqueConstraint("organisation_id", "slug"),)

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id", index=False)
    slug: str = Field(max_length=40)
    name: str = Field(max_length=120)
    created_at: datetime = moment()


class BranchGroupMember(SQLModel, table=True):
    """A branch belongs to a group; it may belong to several."""

    __tablename__ = "branch_group_members"

    group_id: int = reference("branch_groups.id", index=False, primary_key=True)
    branch_id: int = reference("branches.id", primary_key=True)


class Acceptance(SQLModel, table=True):
    """One organisation accepts what another issued; what changes hands is owed between them."""

    __tablename__ = "acceptances"
    __table_args__ = (
        CheckConstraint("issuer_id <> acceptor_id", name="between_two"),
        CheckConstraint("points OR certificates", name="accepts_something"),
    )

    issuer_id: int = reference("organisations.id", index=False, primary_key=True)
    acceptor_id: int = reference("organisations.id", primary_key=True)
    points: bool = Field(default=True)
    certificates: bool = Field(default=True)
    created_at: datetime = moment()
