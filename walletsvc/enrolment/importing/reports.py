"""What a dry run, a run or an undoing says of single rows: where they stand, and why."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

import xlsxwriter
from sqlmodel import Session, col, select

from walletsvc.enrolment.importing.models import Import, ImportRow, RowOutcome

HEADING: Final = ("line", "outcome", "column", "code", "what is wrong")
# Those of which somebody has to know: rows that are left out, or that stay.
TOLD: Final = (RowOutcome.BAD, RowOutcome.DUPLICATE, RowOutcome.KNOWN, RowOutcome.KEPT)
_PAGE: Final = 2000


def rows(
    session: Session,
    found: Import,
    *,
    after: int = 0,
    outcomes: Sequence[RowOutcome] = TOLD,
    limit: int,
) -> list[ImportRow]:
    """Rows with one of these outcomes, in the order of the list, those after that line."""
    wanted = (
        select(ImportRow)
        .where(
            ImportRow.import_id == found.id,
            ImportRow.row > after,
            col(ImportRow.outcome).in_(outcomes),
        )
        .order_by(col(ImportRow.row))
        .limit(limit)
    )
    return list(session.exec(wanted))


def lines(session: Session, found: Import) -> Iterator[tuple[int, str, str, str, str]]:
    """One for each thing that is wrong."""
    after = 0
    while page := rows(session, found, after=after, limit=_PAGE):
        for row in page:
            for column, code, message in row.problems:
                yield row.row, row.outcome.value, column, code, message
        after = page[-1].row
        session.expunge_all()  # there may be a hundred thousand


def as_csv(session: Session, found: Import) -> bytes:
    """The report as a table that spreadsheets open."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADING)
    writer.writerows(lines(session, found))
    return text.getvalue().encode("utf-8-sig")


def as_xlsx(session: Session, found: Import) -> bytes:
    """The same as an Excel workbook."""
    packed = io.BytesIO()
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(packed, options) as book:
        sheet = book.add_worksheet("report")
        sheet.write_row(0, 0, HEADING)
        for place, line in enumerate(lines(session, found), start=1):
            sheet.write_row(place, 0, line)
    return packed.getvalue()
