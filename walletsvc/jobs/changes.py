"""The append-only change log: what may have to be shown anew, and how urgently.

A row is written in the transaction that makes the change and deleted by the drain that
acted on it. Nothing is coalesced on the way in: an upsert would lose the change that comes
while the drain holds the row.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Index, SmallInteger
from sqlmodel import Field, Session, SQLModel

from walletsvc.storage.columns import moment, primary_key
from walletsvc.storage.engine import signal
from walletsvc.storage.statement import Statement

CHANGES: Final = "walletsvc_changes"  # the signal, and the channel workers listen on

_TOUCH: Final = Statement(
    "INSERT INTO changes (topic, key, lane, at)"
    " SELECT CAST(:topic AS text), key, :lane, :at FROM unnest(CAST(:keys AS bigint[])) AS key"
)


class Lane(enum.IntEnum):
    """A purchase must not wait behind a broadcast to a hundred thousand cards."""

    INTERACTIVE = 0
    BULK = 1


class Change(SQLModel, table=True):
    """`topic` names a kind of thing (account, card, certificate, pass, template), `key` its id."""

    __tablename__ = "changes"
    __table_args__ = (Index("ix_changes_lane_id", "lane", "id"),)

    id: int = primary_key()
    topic: str = Field(max_length=32)
    key: int = Field(sa_type=BigInteger)
    lane: int = Field(default=Lane.INTERACTIVE, sa_type=SmallInteger)
    at: datetime = moment()
    postponed_until: datetime | None = moment(nullable=True)


def touch(
    session: Session,
    topic: str,
    keys: Sequence[int],
    *,
    at: datetime,
    lane: Lane = Lane.INTERACTIVE,
) -> None:
    """Note that these things changed; call it in the transaction that changes them."""
    if not keys:
        return
    _TOUCH.ask(session, {"topic": topic, "lane": int(lane), "at": at, "keys": list(keys)})
    signal(session, CHANGES)
