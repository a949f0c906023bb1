"""What organisations owe each other, counted by the day, so that nobody reads the whole past.

Sums of entries are kept for each account between organisations and each day (UTC). Entries are
written out of order: those of yesterday may come today, and one with a lower id may be committed
after one with a higher. So the sums are of all entries up to a mark, each of them on the day of
its transaction; what is above the mark is few and is read itself. A mark is set only once every
transaction that could hold an entry below it has ended.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.storage.engine import Database

# The newest entry is read before this transaction gets its number: who drew an entry's id below
# it had a lower number by then, for a transaction has one before it draws the first.
_NEWEST: Final = text("SELECT coalesce(max(id), 0) FROM ledger_entries")
_MAKE: Final = text("""
INSERT INTO clearing_mark (id, entry_id, next_entry_id, next_xid) VALUES (1, 0, 0, 0)
ON CONFLICT DO NOTHING
""")
_LOCK: Final = text("""
SELECT entry_id, next_entry_id, next_xid, CAST(CAST(pg_current_xact_id() AS text) AS bigint) AS xid
  FROM clearing_mark FOR UPDATE
""")
# In a statement of its own, after the row's lock: it must not be older than what is counted.
_ENDED: Final = text("""
SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) > :xid
""")
_COUNT: Final = text("""
INSERT INTO clearing_days (account_id, through_id, day, amount)
SELECT e.account_id, :through, CAST(t.at AT TIME ZONE 'UTC' AS date), sum(e.amount)::bigint
  FROM accounts a
  JOIN ledger_entries e ON e.account_id = a.id AND e.id > :mark AND e.id <= :through
  JOIN ledger_transactions t ON t.id = e.transaction_id
 WHERE a.kind = 'system' AND a.code = 'inter-organisation'
 GROUP BY 1, 3
""")
_SET: Final = text("""
UPDATE clearing_mark
   SET entry_id = :entry_id, next_entry_id = :next_entry_id, next_xid = :next_xid
""")
_MARK: Final = text("SELECT coalesce(max(entry_id), 0) FROM clearing_mark")


def count(database: Database) -> int:
    """Count what the run before saw, and note what the next can count; returns the new mark.

    Nobody waits for it and it waits for nobody. Stopped, it has done nothing; run twice, or by
    two at once, it counts nothing twice. After a restore the noted number means nothing: at worst
    one run counts nothing.
    """
    with database.read_tx() as session:
        newest = int(session.execute(_NEWEST).scalar_one())
    with database.write_tx() as session:
        session.execute(_MAKE)
        row = session.execute(_LOCK).one()
        counted = row.entry_id
        ended = session.execute(_ENDED, {"xid": row.next_xid}).scalar_one()
        if ended and row.next_entry_id > counted:
            session.execute(_COUNT, {"mark": counted, "through": row.next_entry_id})
            counted = row.next_entry_id
        session.execute(_SET, {"entry_id": counted, "next_entry_id": newest, "next_xid": row.xid})
    return int(counted)


def mark(session: Session) -> int:
    """Up to which entry everything is counted: rows with a higher `through_id` came since."""
    return int(session.execute(_MARK).scalar_one())
