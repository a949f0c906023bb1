"""Imports and their rows."""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import choice, minor_units, moment, primary_key, reference


class ImportState(enum.StrEnum):
    """Life of an import; nothing but the import itself is written before `running`."""

    CHECKING = "checking"
    CHECKED = "checked"
    RUNNING = "running"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


class KnownMembers(enum.StrEnum):
    """What happens to a row whose person has a card of the programme already."""

    ADD = "add"  # number, balance, turnover and tier come onto that card
    SKIP = "skip"  # the row is left out


class Import(SQLModel, table=True):
    """A list of cards that somebody sent, by whom, and how far it is.

    `digest` is the SHA-256 of the file. `figures` counts what the dry run found, `job_id` is the
    job that works on it. `day` is the local day on which the turnover counts that it brings.
    """

    __tablename__ = "imports"

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    organisation_id: int = reference("organisations.id")
    programme_id: int = reference("programmes.id", index=False)
    file_name: str = Field(default="", max_length=120)
    digest: bytes = Field(sa_type=LargeBinary)
    state: ImportState = choice(ImportState, "import_state", default=ImportState.CHECKING)
    known_members: KnownMembers = choice(
        KnownMembers, "import_known_members", default=KnownMembers.ADD
    )
    expires_at: datetime | None = moment(nullable=True)
    reason: str = Field(max_length=200)
    columns: list[str] = Field(sa_type=JSONB)
    figures: dict[str, int] = Field(default_factory=dict, sa_type=JSONB)
    day: date | None = Field(default=None)
    job_id: int | None = reference("bulk_jobs.id", nullable=True, index=False)
    actor: str = Field(max_length=80)
    created_at: datetime = moment()
    checked_at: datetime | None = moment(nullable=True)
    run_at: datetime | None = moment(nullable=True)
    undo_at: datetime | None = moment(nullable=True)


class RowOutcome(enum.StrEnum):
    """What became of a row."""

    WAITING = "waiting"  # not looked at yet
    READY = "ready"  # would go in
    BAD = "bad"  # something in it cannot be read
    DUPLICATE = "duplicate"  # another row of the file has its number
    KNOWN = "known"  # the number, or the member, is there already
    CREATED = "created"  # it made a card
    JOINED = "joined"  # what it brought is on a card that was there
    UNDONE = "undone"
    KEPT = "kept"  # in use by the time it was to be undone


class ImportRow(SQLModel, table=True):
    """A row of the list: what was sent, what was found in it, and what it became.

    `row` is the line of the file. `cells` holds what was sent and `given` what it means, both
    only until the row is in: what is personal is then the person's alone. `problems` names
    columns and reasons, never what stood there. `number`, `phone`, `name_key` and `digest` tell
    rows apart. The rest is what the undoing has to know.
    """

    __tablename__ = "import_rows"
    __table_args__ = (
        Index(
            "ix_import_rows_number",
            "import_id",
            "number",
            postgresql_where=text("number IS NOT NULL"),
        ),
        Index(
            "ix_import_rows_phone",
            "import_id",
            "phone",
            postgresql_where=text("phone IS NOT NULL"),
        ),
        Index("ix_import_rows_card_id", "card_id", postgresql_where=text("card_id IS NOT NULL")),
    )

    import_id: int = reference("imports.id", index=False, primary_key=True, ondelete="CASCADE")
    row: int = Field(primary_key=True, sa_type=BigInteger)
    cells: list[str] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    given: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    outcome: RowOutcome = choice(RowOutcome, "import_outcome", default=RowOutcome.WAITING)
    problems: list[list[str]] = Field(default_factory=list, sa_type=JSONB)
    number: str | None = Field(default=None, max_length=40)
    phone: str | None = Field(default=None, max_length=16)
    name_key: str = Field(default="", max_length=200)
    digest: bytes | None = Field(default=None, sa_type=LargeBinary)
    balance: int = minor_units(default=0)
    turnover: int = minor_units(default=0)
    tier_before: str | None = Field(default=None, max_length=40)
    tier_set: bool = Field(default=False)
    person_id: int | None = reference("persons.id", nullable=True, index=False)
    person_new: bool = Field(default=False)
    card_id: int | None = reference("cards.id", nullable=True, index=False)
    card_new: bool = Field(default=False)
    plastic_id: int | None = Field(default=None, sa_type=BigInteger)
    transaction_id: int | None = reference("ledger_transactions.id", nullable=True, index=False)
    reversal_id: int | None = reference("ledger_transactions.id", nullable=True, index=False)
    brought_id: int | None = Field(default=None, sa_type=BigInteger)
    undo_job: int | None = Field(default=None, sa_type=BigInteger)
