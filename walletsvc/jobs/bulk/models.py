"""A bulk job and what is left of the things it was given by name."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.storage.columns import choice, moment, primary_key, reference


class BulkState(enum.StrEnum):
    """Life of a bulk job; a paused or failed one can be resumed."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"


class BulkJob(SQLModel, table=True):
    """A job and how far it is: items up to and including `cursor` are dealt with.

    `counted_from` and `counted_done` are when and where the present run began, for the rate.
    `failures` counts tries in a row that failed, `problem` says why in words. `waiting_since`
    is set while the job lets pushes leave first. `result` counts items by what became of them.
    A job without `organisation_id` is the installation's own.
    """

    __tablename__ = "bulk_jobs"
    __table_args__ = (
        Index("ix_bulk_jobs_running", "id", postgresql_where=text("state = 'running'")),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True, max_length=32)
    organisation_id: int | None = Field(default=None, sa_type=BigInteger)
    kind: str = Field(max_length=40)
    title: str = Field(max_length=200)
    state: BulkState = choice(BulkState, "bulk_state", default=BulkState.RUNNING)
    parameters: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    cursor: int = Field(default=0, sa_type=BigInteger)
    total: int = Field(sa_type=BigInteger)
    done: int = Field(default=0, sa_type=BigInteger)
    result: dict[str, int] = Field(default_factory=dict, sa_type=JSONB)
    actor: str = Field(max_length=80)
    problem: str | None = Field(default=None, max_length=500)
    failures: int = Field(default=0)
    created_at: datetime = moment()
    updated_at: datetime = moment()
    finished_at: datetime | None = moment(nullable=True)
    waiting_since: datetime | None = moment(nullable=True)
    counted_from: datetime | None = moment(nullable=True)
    counted_done: int = Field(default=0, sa_type=BigInteger)


class BulkItem(SQLModel, table=True):
    """Something a job was given by name and has not dealt with: a piece deletes what it does."""

    __tablename__ = "bulk_items"

    job_id: int = reference("bulk_jobs.id", index=False, primary_key=True, ondelete="CASCADE")
    item: int = Field(primary_key=True, sa_type=BigInteger)
