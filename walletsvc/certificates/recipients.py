"""Lists of recipients, as spreadsheets save them: read, and checked as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from walletsvc.certificates.issuing import LANGUAGES, check_value
from walletsvc.core.errors import FieldError, InputError, wrong
from walletsvc.jobs.lists import values, workbook
from walletsvc.jobs.lists.text import lines
from walletsvc.jobs.lists.workbook import Cell
from walletsvc.merchants.rules import check_text

MOST_ROWS: Final = 20_000
_MOST_ERRORS: Final = 1000  # more of them help nobody, and fill the answer

# How people head these columns.
_HEADINGS: Final = {
    "name": ("name", "recipient", "recipient_name", "имя", "получатель", "фио"),
    "amount": ("amount", "sum", "value", "face_value", "сумма", "номинал"),
    "language": ("language", "lang", "язык"),
}


@dataclass(frozen=True, slots=True)
class Recipient:
    """One row as it was sent: `place` says where it stands, `amount` is in minor units."""

    place: str
    name: str
    amount: int
    language: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a table: its place in words, what it holds, and what cannot be read of it."""

    place: str
    cells: Sequence[str]
    bad: Mapping[int, str]


def read(raw: bytes, scale: int) -> list[Recipient]:
    """The recipients in a file: an Excel workbook, or a table as text."""
    return read_xlsx(raw, scale) if raw.startswith(b"PK") else read_csv(raw, scale)


def read_csv(raw: bytes, scale: int) -> list[Recipient]:
    """The recipients in a table with a heading, separated by commas, semicolons or tabs.

    UTF-8, or what spreadsheets on Windows save in Russia. Amounts are in whole units of money,
    with at most `scale` decimals. Raises InputError naming every bad cell by line and column.
    """
    return _recipients([_Row(f"line {line}", cells, {}) for line, cells in lines(raw)], scale)


def read_xlsx(raw: bytes, scale: int) -> list[Recipient]:
    """The same of the first visible sheet of an Excel workbook.

    Numbers are amounts and nothing else: a phone or a year that became one is refused, as are
    dates, formulas and merged cells. Raises InputError naming every bad cell by row and column.
    """
    sheet = workbook.read(raw)
    table = list(islice(sheet.rows, MOST_ROWS + 2))
    if len(table) > MOST_ROWS + 1:
        raise _too_many()
    rows: list[_Row] = []
    amounts: int | None = None
    for number, cells in table:
        bad = dict(sheet.bad.get(number, {}))
        for column, cell in enumerate(cells, start=1):
            if why := _unfit(cell, amount=column - 1 == amounts):
                bad.setdefault(column, why)
        texts = ["" if place in bad else _text(cell) for place, cell in enumerate(cells, start=1)]
        if not rows:
            while texts and not texts[-1]:
                texts.pop()
            amounts = None if bad else _columns(texts)["amount"]
        named = {at: f"{why} (cell {workbook.reference(number, at)})" for at, why in bad.items()}
        rows.append(_Row(f"row {number}", texts, named))
    return _recipients(rows, scale)


def _recipients(table: Sequence[_Row], scale: int) -> list[Recipient]:
    if not table:
        raise wrong("file", "holds nothing", "required")
    heading, *rest = table
    if heading.bad:
        raise wrong(heading.place, next(iter(heading.bad.values())), "invalid_format")
    columns = _columns(heading.cells)
    names = {place + 1: name for name, place in columns.items()}
    errors: list[FieldError] = []
    found = []
    for row in rest:
        for column, why in row.bad.items():
            name = names.get(column, f"column {column}")
            errors.append(FieldError(f"{row.place}: {name}", why, "invalid_format"))
        cell = {
            name: row.cells[place] if place < len(row.cells) else ""
            for name, place in columns.items()
        }
        if any(row.cells[len(heading.cells) :]):
            errors.append(FieldError(row.place, "has more cells than the heading", "too_long"))
        amount = minor_units(cell["amount"], scale)
        if amount is None and columns["amount"] + 1 not in row.bad:
            message = values.not_an_amount(cell["amount"], scale, "above zero")
            errors.append(FieldError(f"{row.place}: amount", message, "invalid_format"))
        language = cell.get("language", "").strip().lower()
        found.append(Recipient(row.place, cell.get("name", ""), amount or 1, language))
    check(found, errors, "{}: {}".format)
    return found


def _text(cell: Cell) -> str:
    """What is in a cell as somebody would have typed it."""
    if isinstance(cell, (int, float)):
        return values.digits(cell)
    return str(cell).strip()


def _unfit(cell: Cell, *, amount: bool) -> str | None:
    """Why a cell cannot be taken as it is; None when it can."""
    match cell:
        case str():
            return None
        case bool():
            return "is true or false"
        case int() | float():
            return None if amount else "is a number: make it text and write it again"
        case _:
            return "is a date or a time: make it a number" if amount else "is a date or a time"


def check(
    recipients: Sequence[Recipient], errors: list[FieldError], field: Callable[[str, str], str]
) -> None:
    """Raises InputError for all that is wrong, with what was found before.

    `field` makes the path of a field of a recipient from its place and its name.
    """
    if not 0 < len(recipients) <= MOST_ROWS:
        raise _too_many()
    for recipient in recipients:
        try:
            check_text("name", recipient.name, 120, required=False)
            check_value("amount", recipient.amount)
        except InputError as error:
            item = error.fields[0]
            errors.append(FieldError(field(recipient.place, item.field), item.message, item.code))
        if recipient.language and recipient.language not in LANGUAGES:
            name = field(recipient.place, "language")
            errors.append(FieldError(name, "must be ru or en", "not_allowed"))
    if errors:
        first = "; ".join(f"{error.field} {error.message}" for error in errors[:3])
        more = f"; and {len(errors) - 3:,} more" if len(errors) > 3 else ""
        raise InputError(f"Nothing was begun: {first}{more}.", tuple(errors[:_MOST_ERRORS]))


def _columns(heading: Sequence[str]) -> dict[str, int]:
    """Where each column stands; raises InputError for unknown ones and when none has amounts."""
    found: dict[str, int] = {}
    for place, title in enumerate(heading):
        known = [name for name, words in _HEADINGS.items() if title.lower() in words]
        if not known:
            raise wrong(
                f"heading, column {place + 1}", "is not name, amount or language", "unknown_field"
            )
        if known[0] in found:
            raise wrong(f"heading, column {place + 1}", "is there twice", "duplicate_key")
        found[known[0]] = place
    if "amount" not in found:
        raise wrong("heading", "has no column amount (сумма)", "required")
    return found


def minor_units(written: str, scale: int) -> int | None:
    """Money as people write it, in minor units; None when it cannot be paid."""
    return values.minor_units(written, scale) or None


def _too_many() -> InputError:
    return wrong("rows", f"must be 1 to {MOST_ROWS:,} recipients", "out_of_range")
