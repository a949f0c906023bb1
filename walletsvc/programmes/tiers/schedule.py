"""What the calendar does to tiers: moving down on the first of a month or a year, and turnover
that leaves a rolling window.

Both go through the accounts in batches, each a transaction that notes how far it came: a run that
is broken off goes on where it was, and one that was missed is made up for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlmodel import Session, col, select

from walletsvc.core.clock import Clock
from walletsvc.programmes.models import Programme, RuleState, RuleVersion
from walletsvc.programmes.rulebook import tiers as rules
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.tiers.many import Looked, settle_many
from walletsvc.programmes.tiers.models import TierCause
from walletsvc.programmes.versions import book_of, current
from walletsvc.storage.engine import Database

BATCH: Final = 500
# A window is looked back over for so many nights that no run may have taken place.
_MISSED: Final = timedelta(days=14)

_UNCHECKED: Final = text(
    "SELECT account_id FROM account_tiers WHERE programme_id = :programme_id"
    " AND checked_on < :due ORDER BY account_id LIMIT :limit"
)
_LEAVING: Final = text(
    "SELECT DISTINCT t.account_id FROM turnover b JOIN account_tiers t USING (account_id)"
    " WHERE b.day >= :first AND b.day < :since AND t.programme_id = :programme_id"
    " AND t.base_on < :today ORDER BY t.account_id LIMIT :limit"
)

Look = Callable[[Session, Programme, RuleBook, datetime, int], Looked]


def run(database: Database, clock: Clock, batch: int = BATCH) -> Looked:
    """Do what is due for the tiers of all programmes; how many accounts that concerned."""
    with database.read_tx() as session:
        published = select(RuleVersion.programme_id).where(RuleVersion.state == RuleState.PUBLISHED)
        open_ = select(Programme.id).where(
            col(Programme.id).in_(published), col(Programme.closed_at).is_(None)
        )
        programmes = session.exec(open_.order_by(col(Programme.id))).all()
    total = Looked()
    for programme_id in programmes:
        for look in (_check, _refresh):
            total = _all(database, programme_id, look, clock, batch, total)
    return total


def _all(
    database: Database, programme_id: int, look: Look, clock: Clock, batch: int, total: Looked
) -> Looked:
    while True:
        with database.write_tx() as session:
            programme = session.get_one(Programme, programme_id)
            version = current(session, programme_id)  # another may be published meanwhile
            if version is None:
                return total
            done = look(session, programme, book_of(version), clock(), batch)
        total += done
        if not done.accounts:
            return total


def _check(
    session: Session, programme: Programme, book: RuleBook, now: datetime, limit: int
) -> Looked:
    """Move down who no longer reaches their tier, when that is due."""
    due = rules.check_day(book, now.astimezone(ZoneInfo(programme.time_zone)).date())
    if due is None:
        return Looked()
    values = {"programme_id": programme.id, "due": due, "limit": limit}
    accounts = list(session.execute(_UNCHECKED, values).scalars())
    return settle_many(session, programme, book, accounts, now, TierCause.SCHEDULE, check=True)


def _refresh(
    session: Session, programme: Programme, book: RuleBook, now: datetime, limit: int
) -> Looked:
    """Count anew for whom something has left the rolling window: more is missing to the next."""
    today = now.astimezone(ZoneInfo(programme.time_zone)).date()
    since = rules.counts_since(book, today)
    if since is None:
        return Looked()
    values = {
        "programme_id": programme.id,
        "first": since - _MISSED,
        "since": since,
        "today": today,
        "limit": limit,
    }
    accounts = list(session.execute(_LEAVING, values).scalars())
    return settle_many(session, programme, book, accounts, now, TierCause.SCHEDULE)
