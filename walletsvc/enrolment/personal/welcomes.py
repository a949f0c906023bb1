"""That a phone was welcomed outlives whose it was: as a keyed hash, and for a year."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from walletsvc.enrolment.personal.models import WelcomedPhone
from walletsvc.storage.columns import keyring

KEPT: Final = timedelta(days=365)


def keep(
    session: Session, programme_ids: Sequence[int], phones: Sequence[str], now: datetime
) -> None:
    """Remember that these programmes have welcomed these phones (E.164), which are erased now."""
    rows = [
        {"programme_id": programme_id, "phone_hash": hashed(programme_id, phone), "erased_at": now}
        for programme_id in programme_ids
        for phone in phones
    ]
    if rows:
        session.execute(insert(WelcomedPhone).values(rows).on_conflict_do_nothing())


def forget(session: Session, now: datetime) -> None:
    """Those that have been kept long enough."""
    session.execute(delete(WelcomedPhone).where(col(WelcomedPhone.erased_at) <= now - KEPT))


def hashed(programme_id: int, phone: str) -> bytes:
    """What is kept of a phone: another for each programme, so that nobody can lay them together."""
    return keyring().lookup_hash(f"welcome {programme_id} {phone}")
