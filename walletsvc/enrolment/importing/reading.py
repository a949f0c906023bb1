"""The rows of a list as text, one by one, whatever kind of file it came in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from itertools import chain
from typing import Final

from walletsvc.core.errors import wrong
from walletsvc.enrolment.importing.columns import IGNORED, columns
from walletsvc.jobs.lists import text, values, workbook
from walletsvc.jobs.lists.workbook import Cell, Limits

MOST_ROWS: Final = 200_000
MOST_BYTES: Final = 16 * 1024 * 1024
_WORKBOOK: Final = Limits(unpacked=160 * 1024 * 1024, rows=MOST_ROWS + 1)
_LONGEST_CELL: Final = 500
_EXACT: Final = 10**15  # a spreadsheet keeps fifteen digits of a number


@dataclass(frozen=True, slots=True)
class Sent:
    """A row as it was sent; `problems` are of cells that cannot be read: column, code, message."""

    row: int
    cells: list[str]
    problems: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Table:
    """What the columns are, and the rows, which come once."""

    columns: list[str]
    rows: Iterator[Sent]


def read(raw: bytes, named: Mapping[str, str]) -> Table:
    """A table as text, or the first visible sheet of a workbook, with a heading.

    Raises InputError for what is neither, and for a heading that is not understood; too many
    rows are noticed when they come.
    """
    if len(raw) > MOST_BYTES:
        raise wrong("file", f"must be at most {MOST_BYTES // 1024**2} MiB", "too_large")
    rows = _sheet(raw) if raw.startswith(b"PK") else _text(raw)
    heading = next(rows, None)
    if heading is None:
        raise wrong("file", "holds nothing", "required")
    if heading.problems:
        raise wrong("heading", heading.problems[0][2], "invalid_format")
    while heading.cells and not heading.cells[-1]:
        heading.cells.pop()
    known = columns(heading.cells, named)
    return Table(known, _checked(rows, known))


def _checked(rows: Iterator[Sent], known: list[str]) -> Iterator[Sent]:
    first = next(rows, None)
    if first is None:
        raise wrong("rows", f"must be 1 to {MOST_ROWS:,}", "out_of_range")
    for count, sent in enumerate(chain([first], rows), start=1):
        if count > MOST_ROWS:
            raise wrong("rows", f"must be 1 to {MOST_ROWS:,}", "out_of_range")
        problems = [
            [known[int(place)] or place, code, why] if int(place) < len(known) else
            ["", code, why]
            for place, code, why in sent.problems
            if int(place) >= len(known) or known[int(place)] != IGNORED
        ]  # fmt: skip
        cells = [cell.replace("\x00", "") for cell in sent.cells]
        if any(cells[len(known) :]):
            problems.append(["", "too_long", "has more cells than the heading"])
        if any(len(cell) > _LONGEST_CELL for cell in cells):
            problems.append(["", "too_long", "has a cell that is too long"])
            cells = [cell[:_LONGEST_CELL] for cell in cells]
        cells = cells[: len(known)]
        cells += [""] * (len(known) - len(cells))
        yield Sent(sent.row, cells, problems)


def _text(raw: bytes) -> Iterator[Sent]:
    for line, cells in text.lines(raw):
        yield Sent(line, cells)


def _sheet(raw: bytes) -> Iterator[Sent]:
    sheet = workbook.read(raw, _WORKBOOK)
    for number, cells in sheet.rows:
        bad = {at - 1: why for at, why in sheet.bad.get(number, {}).items()}
        written = []
        for place, cell in enumerate(cells):
            told, why = _written(cell)
            written.append("" if place in bad else told)
            if why and place not in bad:
                bad[place] = why
        problems = [[str(place), "invalid_format", why] for place, why in sorted(bad.items())]
        yield Sent(number, written, problems)


def _written(cell: Cell) -> tuple[str, str | None]:
    """A cell as somebody would have typed it, and why that cannot be told."""
    match cell:
        case str():
            return cell.strip(), None
        case bool():
            return "", "is true or false"
        case int() | float():
            if abs(cell) >= _EXACT:
                return "", "is too long for a number: make it text and write it again"
            return values.digits(cell), None
        case date():  # a moment is one too
            return cell.isoformat()[:10], None
        case time() | timedelta():
            return "", "is a time"
