"""Every inbound webhook is stored before it is processed, once per source and external id.

The sender gets its answer when the row is committed; processing is a job's and may be repeated.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import Field, Session, SQLModel, col

from walletsvc.storage.columns import moment, primary_key


class InboxEntry(SQLModel, table=True):
    """Something another system told us. `processed_at` is set by whoever acted on it."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("ix_inbox_waiting", "source", "id", postgresql_where=text("processed_at IS NULL")),
    )

    id: int = primary_key()
    source: str = Field(max_length=40)
    external_id: str = Field(max_length=200)
    body: dict[str, Any] = Field(sa_type=JSONB)
    received_at: datetime = moment(index=True)
    processed_at: datetime | None = moment(nullable=True)
    error: str = Field(default="", max_length=500)


def receive(
    session: Session, *, source: str, external_id: str, body: dict[str, Any], now: datetime
) -> bool:
    """Store what was told; False when it was stored before: told twice, or replayed."""
    values = {"source": source, "external_id": external_id, "body": body, "received_at": now}
    stored = session.execute(
        insert(InboxEntry)
        .values(**values, error="")
        .on_conflict_do_nothing(index_elements=["source", "external_id"])
        .returning(col(InboxEntry.id))
    )
    return stored.first() is not None
