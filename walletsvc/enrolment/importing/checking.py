"""The dry run: what every row means, which are there twice, and what it all comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text, update
from sqlmodel import Session, col, select

from walletsvc.enrolment.importing.models import (
    Import,
    ImportRow,
    ImportState,
    KnownMembers,
    RowOutcome,
)
from walletsvc.enrolment.importing.rules import Meant, Terms, understand
from walletsvc.enrolment.importing.service import import_of
from walletsvc.enrolment.importing.standing import Members, members, numbers_taken
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.runner import Piece
from walletsvc.ledger.many import look_up_by_key
from walletsvc.ledger.models import Unit
from walletsvc.programmes import versions
from walletsvc.programmes.models import Programme

MONEY_SCALE: Final = 2

# Sorted, not joined: what PostgreSQL knows of rows that have just come would have it compare each
# with each. Without a number it is the phone with the name that two rows may have in common. Which
# of two that say different things is right nobody can know: neither goes in.
_TWICE: Final = text("""
WITH keyed AS (
    SELECT row, encode(digest, 'hex') AS digest, coalesce(number, phone || '|' || name_key) AS key
      FROM import_rows WHERE import_id = :import_id AND outcome = 'ready'
), told AS (
    SELECT row, min(row) OVER same AS first, count(*) OVER same AS lines,
           min(digest) OVER same <> max(digest) OVER same AS differ
      FROM keyed WHERE key IS NOT NULL WINDOW same AS (PARTITION BY key)
)
UPDATE import_rows r
   SET outcome = 'duplicate', given = NULL,
       problems = jsonb_build_array(jsonb_build_array(
           CASE WHEN r.number IS NULL THEN 'phone' ELSE 'number' END,
           CASE WHEN differ THEN 'ambiguous' ELSE 'repeated' END,
           CASE WHEN differ THEN 'is on several lines that differ, first on line ' || first
                ELSE 'is the same as line ' || first END))
  FROM told
 WHERE r.import_id = :import_id AND r.row = told.row AND lines > 1
   AND (differ OR r.row <> first)
""")
_FIGURES: Final = text("""
WITH r AS (SELECT * FROM import_rows WHERE import_id = :import_id)
SELECT count(*) AS rows,
       count(*) FILTER (WHERE outcome = 'ready') AS ready,
       count(*) FILTER (WHERE outcome = 'bad') AS bad,
       count(*) FILTER (WHERE outcome = 'duplicate') AS duplicate,
       count(*) FILTER (WHERE outcome = 'known') AS known,
       coalesce(sum(balance), 0)::bigint AS file_balance,
       coalesce(sum(balance) FILTER (WHERE outcome = 'ready'), 0)::bigint AS ready_balance,
       coalesce(sum(balance) FILTER (WHERE outcome <> 'ready'), 0)::bigint AS left_out_balance,
       count(*) FILTER (WHERE problems @> '[["balance"]]') AS unreadable_balances,
       coalesce(sum(turnover) FILTER (WHERE outcome = 'ready'), 0)::bigint AS ready_turnover,
       count(*) FILTER (WHERE outcome = 'ready' AND person_id IS NOT NULL) AS known_persons,
       count(*) FILTER (WHERE outcome = 'ready' AND card_id IS NOT NULL) AS known_members,
       (SELECT count(*) FROM (SELECT FROM r WHERE outcome = 'ready' AND phone IS NOT NULL
         GROUP BY phone, name_key HAVING count(*) > 1) x) AS several_cards,
       (SELECT count(*) FROM (SELECT FROM r WHERE outcome = 'ready' AND phone IS NOT NULL
         GROUP BY phone HAVING count(DISTINCT name_key) > 1) x) AS shared_phones
  FROM r
""")


def check_piece(session: Session, job: BulkJob, size: int, now: datetime) -> Piece:
    """Understand the next rows; after the last one find what is there twice."""
    look_up_by_key(session)
    found = import_of(session, job)
    # Columns, not objects: what is written below goes around the session.
    rows = session.execute(
        select(col(ImportRow.row), col(ImportRow.cells), col(ImportRow.problems))
        .where(col(ImportRow.import_id) == found.id, col(ImportRow.row) > job.cursor)
        .order_by(col(ImportRow.row))
        .limit(size)
    ).all()
    programme = session.get_one(Programme, found.programme_id)
    terms = _terms(session, programme, now)
    meant = [understand(found.columns, row.cells or [], terms) for row in rows]
    good = [each for row, each in zip(rows, meant, strict=True) if not each.problems]
    there = members(session, programme, [each.phone for each in good if each.phone])
    taken = numbers_taken(session, programme, [each.number for each in good if each.number])
    changes = [
        _judged(found, row, each, there, taken) for row, each in zip(rows, meant, strict=True)
    ]
    if changes:
        session.execute(update(ImportRow), changes)
    if len(rows) < size:
        _finish(session, found, now)
    return Piece(rows[-1].row if rows else job.cursor, len(rows), len(rows) < size)


def _judged(
    found: Import, row: Row[Any], meant: Meant, there: Members, taken: frozenset[str]
) -> Mapping[str, Any]:
    problems, outcome = [*row.problems, *meant.problems], RowOutcome.READY
    person_id = there.people.get((meant.phone, meant.name_key)) if meant.phone else None
    card = there.cards.get(person_id) if person_id is not None else None
    if problems:
        outcome = RowOutcome.BAD
    elif meant.number in taken:
        outcome = RowOutcome.KNOWN
        problems = [["number", "number_known", "is a card's already"]]
    elif card is not None and not card.open:
        outcome = RowOutcome.KNOWN
        problems = [["phone", "card_closed", "is of a member whose card was closed"]]
    elif card is not None and found.known_members is KnownMembers.SKIP:
        outcome = RowOutcome.KNOWN
        problems = [["phone", "member_known", "is of a member already"]]
    good = outcome is RowOutcome.READY
    return {
        "import_id": found.id,
        "row": row.row,
        "cells": None,
        "given": meant.given if good else None,
        "outcome": outcome,
        "problems": problems,
        "number": meant.number,
        "phone": meant.phone if good else None,
        "name_key": meant.name_key[:200] if good else "",
        "digest": meant.digest,
        "balance": meant.balance,
        "turnover": meant.turnover,
        "person_id": person_id if good else None,
        "card_id": card.card_id if good and card else None,
    }


def _finish(session: Session, found: Import, now: datetime) -> None:
    session.execute(_TWICE, {"import_id": found.id})
    figures = session.execute(_FIGURES, {"import_id": found.id}).one()
    found.figures = {name: int(value) for name, value in figures._mapping.items()}
    found.state, found.checked_at = ImportState.CHECKED, now
    session.flush()


def _terms(session: Session, programme: Programme, now: datetime) -> Terms:
    version = versions.current(session, programme.id)
    tiers: Sequence[str] = ()
    if version is not None:
        tiers = [tier.code for tier in versions.book_of(version).tiers]
    return Terms(
        scale=session.get_one(Unit, programme.unit_id).scale,
        money_scale=MONEY_SCALE,
        tiers=tiers,
        today=now.astimezone(ZoneInfo(programme.time_zone)).date(),
    )
