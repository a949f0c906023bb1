"""Groups of cards, who belonged to them when, and the proof that let somebody in."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import CheckConstraint, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import choice, minor_units, moment, primary_key, reference


class JoinProof(enum.StrEnum):
    """Why a card was let in."""

    FOUNDER = "founder"  # the group began with this card's account
    INVITATION = "invitation"  # a holder passed on a code
    PHONE = "phone"  # who joins proved the phone that a member answers too
    STAFF = "staff"  # somebody with the right to approve did, and said why


class CardGroup(SQLModel, table=True):
    """Cards of one programme that share an account; it began as the founder's own.

    A closed group's account is its last member's, who may found another group with it.
    """

    __tablename__ = "card_groups"
    __table_args__ = (
        Index(
            "uq_card_groups_account",
            "account_id",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
        ),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    programme_id: int = reference("programmes.id")
    account_id: int = reference("accounts.id", index=False)
    name: str = Field(default="", max_length=80)
    created_at: datetime = moment()
    closed_at: datetime | None = moment(nullable=True)


class GroupMember(SQLModel, table=True):
    """A card's time in a group: what it brought in, and what it left with, in minor units."""

    __tablename__ = "group_members"
    __table_args__ = (
        CheckConstraint(
            "(left_at IS NULL) = (left_with IS NULL) AND (left_at IS NULL OR left_at >= joined_at)",
            name="leaving_told",
        ),
        Index(
            "uq_group_members_card",
            "card_id",
            unique=True,
            postgresql_where=text("left_at IS NULL"),
        ),
    )

    id: int = primary_key()
    group_id: int = reference("card_groups.id")
    card_id: int = reference("cards.id")
    proof: JoinProof = choice(JoinProof, "join_proof")
    reason: str = Field(default="", max_length=200)
    actor: str = Field(max_length=120)
    brought: int = minor_units(default=0)
    joined_at: datetime = moment()
    left_at: datetime | None = moment(nullable=True)
    left_with: int | None = minor_units(default=None, nullable=True)
    left_by: str | None = Field(default=None, max_length=120)


class GroupInvitation(SQLModel, table=True):
    """A code by which a holder lets one more card in; used once, found by a keyed hash."""

    __tablename__ = "group_invitations"
    __table_args__ = (CheckConstraint("expires_at > created_at", name="expires_after_created"),)

    id: int = primary_key()
    card_id: int = reference("cards.id")  # whose holder invites; it need not be in a group yet
    code_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    actor: str = Field(max_length=120)
    created_at: datetime = moment()
    expires_at: datetime = moment()
    used_at: datetime | None = moment(nullable=True)
    used_by_card_id: int | None = reference("cards.id", nullable=True, index=False)
