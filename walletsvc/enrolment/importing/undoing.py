"""Undoing: all that an import made goes, unless somebody has used it since.

Cards that it made are closed with their accounts, the points on them are undone by reversals, and
persons that it made are forgotten. Points on cards that were there before go back if they are all
there still. What is in use stays as it is, each row with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Row, delete, text, update
from sqlmodel import Session, col

from walletsvc.cards.models import Card
from walletsvc.core.actor import Actor
from walletsvc.enrolment.importing import running
from walletsvc.enrolment.importing.models import Import, ImportRow, ImportState, RowOutcome
from walletsvc.enrolment.importing.service import import_of
from walletsvc.enrolment.importing.using import lock_cards, moved, uses
from walletsvc.enrolment.models import Registration
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.runner import Piece
from walletsvc.ledger import service as ledger
from walletsvc.ledger.accounts import hold_still
from walletsvc.ledger.many import look_up_by_key
from walletsvc.programmes.models import Programme
from walletsvc.programmes.tiers.bringing import Kept, forget, take_back

# The next rows, and with each card all of its rows: a card goes as a whole or not at all.
_NEXT: Final = text("""
WITH next AS (
    SELECT row, card_id FROM import_rows
     WHERE import_id = :import_id AND row > :cursor AND outcome IN ('created', 'joined', 'kept')
       AND (outcome <> 'kept' OR undo_job IS DISTINCT FROM :job_id)
     ORDER BY row LIMIT :most
)
SELECT r.row, r.outcome, r.card_new, r.person_id, r.person_new, r.card_id, r.plastic_id,
       r.transaction_id, r.brought_id, r.tier_before, r.tier_set, c.account_id
  FROM import_rows r JOIN cards c ON c.id = r.card_id
 WHERE r.import_id = :import_id AND r.outcome IN ('created', 'joined', 'kept')
   AND r.card_id IN (SELECT card_id FROM next)
   AND (r.outcome <> 'kept' OR r.undo_job IS DISTINCT FROM :job_id)
 ORDER BY r.card_id, r.row
""")
_FORGET_NUMBERS: Final = text(
    "DELETE FROM plastic_numbers WHERE id = ANY(CAST(:ids AS bigint[])) AND claimed_at IS NULL"
    " RETURNING id"
)
_CLAIMED: Final = text(
    "SELECT id FROM plastic_numbers WHERE id = ANY(CAST(:ids AS bigint[]))"
    " AND claimed_at IS NOT NULL FOR UPDATE"
)
# Who has no other card is nobody's customer any more: what the list told of them is forgotten.
_FORGET_PEOPLE: Final = text("""
WITH gone AS (
    UPDATE persons p SET first_name = '', last_name = '', birthday = NULL, email = NULL,
           closed_at = :now, erased_at = :now
     WHERE id = ANY(CAST(:ids AS bigint[]))
       AND NOT EXISTS (SELECT FROM cards c WHERE c.person_id = p.id AND c.closed_at IS NULL)
    RETURNING id
)
DELETE FROM person_phones h USING gone WHERE h.person_id = gone.id RETURNING h.phone_id
""")

_UNANSWERED: Final = text("""
DELETE FROM phones f WHERE id = ANY(CAST(:ids AS bigint[]))
   AND NOT EXISTS (SELECT FROM person_phones h WHERE h.phone_id = f.id)
""")


def undo_piece(session: Session, job: BulkJob, size: int, now: datetime) -> Piece:
    """Take the next rows out again, with those of the same cards."""
    look_up_by_key(session)
    found = import_of(session, job)
    wanted = {
        "import_id": found.id,
        "cursor": job.cursor,
        "most": max(size, running.LEAST),
        "job_id": job.id,
    }
    rows = session.execute(_NEXT, wanted).all()
    if not rows:
        found.state = ImportState.UNDONE
        session.flush()
        return Piece(job.cursor, 0, True)
    lock_cards(session, {row.card_id for row in rows}, {row.person_id for row in rows})
    hold_still(session, {row.account_id for row in rows})
    changes: list[dict[str, Any]] = []
    own = {row.card_id for row in rows if row.card_new}
    whole = [row for row in rows if row.card_id in own]
    changes += _take_cards(session, found, whole, job, now)
    changes += _take_shares(session, found, [r for r in rows if r.card_id not in own], job, now)
    session.execute(update(ImportRow), changes)
    undone = sum(change["outcome"] is RowOutcome.UNDONE for change in changes)
    # The cursor stays: rows that were dealt with are not found again.
    return Piece(job.cursor, len(rows), False, {"undone": undone, "kept": len(rows) - undone})


def _take_cards(
    session: Session, found: Import, rows: Sequence[Row[Any]], job: BulkJob, now: datetime
) -> list[dict[str, Any]]:
    """Cards that the import made, each with all of its rows."""
    cards = {id_: list(group) for id_, group in groupby(rows, key=lambda row: row.card_id)}
    used = uses(session, found, list(cards), now)
    free = {id_: each for id_, each in cards.items() if id_ not in used}
    given = [row.transaction_id for each in free.values() for row in each if row.transaction_id]
    undone = _reverse(session, found, job, given, now)
    if len(undone) != len(given):
        raise AssertionError("points of a card that nobody used are not all there")
    going = [row for each in free.values() for row in each]
    _drop_numbers(session, going)
    accounts = {row.account_id for row in going}
    forget(session, accounts)
    session.execute(update(Card).where(col(Card.id).in_(list(free))).values(closed_at=now))
    ledger.close_empty(session, accounts, now)
    session.execute(delete(Registration).where(col(Registration.card_id).in_(list(free))))
    people = sorted({row.person_id for row in going if row.person_new})
    phones = session.execute(_FORGET_PEOPLE, {"ids": people, "now": now}).scalars().all()
    _drop_phones(session, phones)
    return [_change(found, job, row, used.get(row.card_id), undone) for row in rows]


def _take_shares(
    session: Session, found: Import, rows: Sequence[Row[Any]], job: BulkJob, now: datetime
) -> list[dict[str, Any]]:
    """What came onto cards that were there: each row by itself."""
    numbers = [row.plastic_id for row in rows if row.plastic_id]
    claimed = set(session.execute(_CLAIMED, {"ids": numbers}).scalars())
    used = moved(session, found, {row.row: row.account_id for row in rows})
    used |= {row.row: "its number was claimed" for row in rows if row.plastic_id in claimed}
    given = [row.transaction_id for row in rows if row.transaction_id and row.row not in used]
    undone = _reverse(session, found, job, given, now)
    for row in rows:
        if row.row not in used and row.transaction_id and row.transaction_id not in undone:
            used[row.row] = "its points are not all there any more"
    programme = session.get_one(Programme, found.programme_id)
    going = [row for row in rows if row.row not in used]
    _drop_numbers(session, going)
    for row in going:
        if row.tier_set:
            take_back(
                session, programme, Kept(row.brought_id, row.tier_before), row.account_id, now
            )
    return [_change(found, job, row, used.get(row.row), undone) for row in rows]


def _reverse(
    session: Session, found: Import, job: BulkJob, given: Collection[int], now: datetime
) -> Mapping[int, int]:
    if not given:
        return {}
    actor = Actor.parse(job.actor)
    return ledger.reverse_many(session, given, actor=actor, reason=found.reason, now=now)


def _change(
    found: Import, job: BulkJob, row: Row[Any], why: str | None, undone: Mapping[int, int]
) -> dict[str, Any]:
    gone = why is None
    return {
        "import_id": found.id,
        "row": row.row,
        "outcome": RowOutcome.UNDONE if gone else RowOutcome.KEPT,
        "problems": [] if gone else [["", "in_use", why]],
        "reversal_id": undone.get(row.transaction_id) if gone else None,
        "plastic_id": None if gone else row.plastic_id,
        "brought_id": None if gone else row.brought_id,
        "undo_job": job.id,
    }


def _drop_numbers(session: Session, rows: Iterable[Row[Any]]) -> None:
    ids = [row.plastic_id for row in rows if row.plastic_id]
    gone = session.execute(_FORGET_NUMBERS, {"ids": ids}).scalars().all()
    if len(gone) != len(ids):
        raise AssertionError("a number was claimed under the lock of its card")


def _drop_phones(session: Session, phone_ids: Sequence[int]) -> None:
    """Phones that nobody answers any more."""
    session.execute(_UNANSWERED, {"ids": sorted(set(phone_ids))})
