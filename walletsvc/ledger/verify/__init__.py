"""Recompute everything the ledger stores from its entries and name what differs.

Every check is one statement, so that it sees one moment even while tills go on posting, and
works on sets: the cost is a few scans and sorts, whatever the number of accounts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.ledger.verify import between, holds, links, lots, postings, reversals
from walletsvc.ledger.verify.checks import Check

__all__ = ["CHECKS", "Check", "Counts", "Difference", "counts", "differences", "find"]

# Those about the ledger alone; packages above it have some about what points at it.
CHECKS: Final = (
    *postings.CHECKS,
    *reversals.CHECKS,
    *lots.CHECKS,
    *links.CHECKS,
    *holds.CHECKS,
    *between.CHECKS,
)

# Sorting and hashing millions of rows in the 4 MB that suit short statements goes to disk. Each
# sort and each worker takes its own: three processes of 64 MB fit a host of 2 GB at night too.
_ROOM: Final = text("""
SELECT set_config('work_mem', '64MB', true), set_config('hash_mem_multiplier', '1', true),
       set_config('max_parallel_workers_per_gather', '2', true), set_config('jit', 'off', true)
""")
_COUNTS: Final = text("""
SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM ledger_transactions),
       (SELECT count(*) FROM ledger_entries), (SELECT count(*) FROM lots)
""")


@dataclass(frozen=True, slots=True)
class Difference:
    """One sentence about what does not agree, and the organisation that it concerns."""

    organisation_id: int
    words: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How much was looked at."""

    accounts: int
    transactions: int
    entries: int
    lots: int


def find(session: Session, checks: Sequence[Check] = CHECKS) -> Iterator[Difference]:
    """Every difference between what is stored and what the entries say."""
    session.execute(_ROOM)
    for check in checks:
        for row in session.execute(text(check.statement)).mappings():
            yield Difference(row["owner"], check.words.format(**row))


def differences(session: Session, checks: Sequence[Check] = CHECKS) -> Iterator[str]:
    """Every difference in words, one sentence each."""
    return (difference.words for difference in find(session, checks))


def counts(session: Session) -> Counts:
    """How many rows there are to verify."""
    return Counts(*session.execute(_COUNTS).one())
