"""What the bulk runner does for imports, and what is forgotten of those that nobody ran."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.enrolment.importing.checking import check_piece
from walletsvc.enrolment.importing.running import run_piece
from walletsvc.enrolment.importing.service import CHECK, RUN, UNDO
from walletsvc.enrolment.importing.undoing import undo_piece
from walletsvc.jobs.bulk.runner import Handler

KEPT: Final = timedelta(days=30)
# Of an import that was run its rows know no more than what they became.
_FORGET: Final = text("""
DELETE FROM import_rows r USING imports i
 WHERE i.id = r.import_id AND i.state IN ('checking', 'checked') AND i.created_at < :before
""")
_FORGET_IMPORTS: Final = text("""
DELETE FROM imports i WHERE i.state IN ('checking', 'checked') AND i.created_at < :before
""")


def handlers() -> Mapping[str, Handler]:
    """By kind of job."""
    return {CHECK: check_piece, RUN: run_piece, UNDO: undo_piece}


def forget(session: Session, now: datetime) -> None:
    """Lists that were looked through and not run within a month: they tell of people who are
    nobody's customers here."""
    wanted = {"before": now - KEPT}
    session.execute(_FORGET, wanted)
    session.execute(_FORGET_IMPORTS, wanted)
