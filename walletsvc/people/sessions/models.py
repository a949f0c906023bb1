"""Log-ins of customers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import moment, primary_key, reference


class CustomerSession(SQLModel, table=True):
    """A browser in which a person is logged in; its cookie is known by its hash only.

    `phone` (E.164) is the number that was proven, `proof_id` what proves it, as long as that is
    kept. `device` says in two words what kind of browser it is. `seen_at` is when it was last
    used, to the hour.
    """

    __tablename__ = "customer_sessions"

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    token_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    person_id: int = reference("persons.id")
    organisation_id: int = reference("organisations.id", index=False)
    phone: str = Field(max_length=16)
    proof_id: int | None = reference("phone_proofs.id", nullable=True, ondelete="SET NULL")
    device: str = Field(default="", max_length=60)
    created_at: datetime = moment()
    seen_at: datetime = moment()
    expires_at: datetime = moment(index=True)
    closed_at: datetime | None = moment(nullable=True)
