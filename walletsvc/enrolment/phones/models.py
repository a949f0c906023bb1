"""Which phone took the place of which, by whose word."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import moment, primary_key, reference


class PhoneChange(SQLModel, table=True):
    """A person's phone became another one.

    `former` is None for somebody who had none. `mistyped`: it was a stranger's number all along.
    `proven`: the new phone was proven by then. `told`: the former phone was written to. Erasing the
    person empties the phones and the reason.
    """

    __tablename__ = "phone_changes"

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id", index=False)
    person_id: int = reference("persons.id")
    former: str | None = Field(default=None, max_length=16, index=True)
    phone: str = Field(max_length=16)
    mistyped: bool = Field(default=False)
    proven: bool = Field(default=False)
    told: bool = Field(default=False)
    reason: str = Field(default="", max_length=200)
    actor: str = Field(max_length=120)
    employee_id: int | None = reference("staff.id", nullable=True)
    changed_at: datetime = moment()
