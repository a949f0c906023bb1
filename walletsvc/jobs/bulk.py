"""Bulk jobs: work on many cards in small transactions, with progress, pause and resume.

A job is a row. A worker takes the next piece of it in one transaction that also moves the
cursor, so a worker that dies leaves nothing half-done and nothing is done twice. What a piece
is depends on the `kind`; the features bring their handlers.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, Session, SQLModel

from walletsvc.core.actor import Actor
from walletsvc.core.ids import public_id
from walletsvc.storage.columns import choice, moment, primary_key
from walletsvc.storage.engine import signal

BULK: Final = "walletsvc_changes"  # the publisher does the pieces: its signal wakes it


class BulkState(enum.StrEnum):
    """Life of a bulk job."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"


class BulkJob(SQLModel, table=True):
    """A job and how far it is: items up to and including `cursor` are dealt with.

    `counted_from` and `counted_done` are when and where the present run began, for the rate.
    """

    __tablename__ = "bulk_jobs"
    __table_args__ = (
        Index("ix_bulk_jobs_running", "id", postgresql_where=text("state = 'running'")),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True, max_length=32)
    kind: str = Field(max_length=40)
    title: str = Field(max_length=200)
    state: BulkState = choice(BulkState, "bulk_state", default=BulkState.RUNNING)
    parameters: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    cursor: int = Field(default=0, sa_type=BigInteger)
    total: int = Field(sa_type=BigInteger)
    done: int = Field(default=0, sa_type=BigInteger)
    actor: str = Field(max_length=80)
    problem: str | None = Field(default=None, max_length=500)
    created_at: datetime = moment()
    updated_at: datetime = moment()
    finished_at: datetime | None = moment(nullable=True)
    counted_from: datetime | None = moment(nullable=True)
    counted_done: int = Field(default=0, sa_type=BigInteger)


def begin(
    session: Session,
    *,
    kind: str,
    title: str,
    parameters: dict[str, Any],
    total: int,
    actor: Actor,
    now: datetime,
) -> BulkJob:
    """Write down a job in the caller's transaction; workers take it up after the commit."""
    job = BulkJob(
        kind=kind,
        title=title,
        parameters=parameters,
        total=total,
        actor=str(actor),
        created_at=now,
        updated_at=now,
    )
    session.add(job)
    session.flush()
    signal(session, BULK)
    return job
