"""Every inbound webhook is stored before it is processed, once per source and external id.

The sender gets its answer when the row is committed; processing is a job's and may be repeated.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import CursorResult, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import Field, Session, SQLModel, col, update

from walletsvc.storage.columns import moment, primary_key


class InboxEntry(SQLModel, table=True):
    """Something another system told us. Whoever acted on it sets `processed_at`, and says in
    `remark` what came of it."""

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
    remark: str = Field(default="", max_length=500)


def receive(
    session: Session, *, source: str, external_id: str, body: dict[str, Any], now: datetime
) -> bool:
    """Store what was told; False when it was stored before: told twice, or replayed."""
    values = {"source": source, "external_id": external_id, "body": body, "received_at": now}
    stored = session.execute(
        insert(InboxEntry)
        .values(**values, remark="")
        .on_conflict_do_nothing(index_elements=["source", "external_id"])
        .returning(col(InboxEntry.id))
    )
    return stored.first() is not None


def done(session: Session, *, source: str, external_id: str, remark: str, now: datetime) -> None:
    """Note that something stored was acted upon, and what came of it."""
    session.execute(
        update(InboxEntry)
        .where(col(InboxEntry.source) == source, col(InboxEntry.external_id) == external_id)
        .values(processed_at=now, remark=remark[:500])
    )


def forget_before(session: Session, limit: datetime, *, count: int = 10_000) -> int:
    """Delete up to `count` entries that were acted upon and came before `limit`; how many went."""
    gone = session.execute(_FORGET, {"limit": limit, "count": count})
    return int(gone.rowcount) if isinstance(gone, CursorResult) else 0


_FORGET: Final = text(
    "DELETE FROM inbox WHERE id = ANY(ARRAY("
    "  SELECT id FROM inbox WHERE received_at < :limit AND processed_at IS NOT NULL LIMIT :count))"
)
