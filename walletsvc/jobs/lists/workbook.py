"""The first sheet of an Excel workbook as rows of cells.

A workbook is a ZIP of XML, and a small one can ask for gigabytes: by what it unpacks to, or by one
cell in the last row and column. So it is unpacked here, to a limit, and looked through for what
would ask for too much; only what has passed is read by the library, packed anew.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import InitVar, dataclass, field
from datetime import date, time, timedelta
from typing import Final
from xml.parsers import expat

from python_calamine import CalamineError, SheetVisibleEnum, load_workbook

from walletsvc.core.errors import InputError, wrong

MOST_PARTS: Final = 200
MOST_COLUMNS: Final = 50
_CHUNK: Final = 64 * 1024
# What a ZIP raises that is none, is cut off, encrypted, or packed in a way nobody uses.
_DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    struct.error,
)
_CELL: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_BOOK: Final = "xl/workbook.xml"
_LINKS: Final = "xl/_rels/workbook.xml.rels"

Cell = str | int | float | bool | date | time | timedelta
Faults = dict[int, dict[int, str]]  # by row and column, from 1: what is wrong with a cell


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a workbook may ask for: bytes that it unpacks to, and rows."""

    unpacked: int = 32 * 1024 * 1024  # a list of 20,000 has some four
    rows: int = 25_000


SMALL: Final = Limits()


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows that hold something, each with its number, and cells that cannot be read, with why.

    The rows come one by one, once.
    """

    rows: Iterator[tuple[int, list[Cell]]]
    bad: Faults


def read(raw: bytes, limits: Limits = SMALL) -> Sheet:
    """The first sheet that is not hidden.

    Raises InputError for what is no workbook, asks for too much, or has no such sheet.
    """
    looks: dict[str, _Look] = {}
    packed = io.BytesIO()
    # Only one part is unpacked at a time: together they are ten times what was sent.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as anew:
        for name, content in _unpacked(raw, limits):
            looks[name] = _Look(limits, content)
            anew.writestr(name, content)
    packed.seek(0)
    try:
        with load_workbook(packed) as book:
            shown = (
                place
                for place, sheet in enumerate(book.sheets_metadata)
                if sheet.visible == SheetVisibleEnum.Visible
            )
            place = next(shown)
            sheet = book.get_sheet_by_index(place)
            first = sheet.start[0] + 1 if sheet.start else 1
            left = sheet.start[1] if sheet.start else 0
            bad = _named(looks, place).bad
            for (row, column), _ in sheet.merged_cell_ranges or ():
                bad.setdefault(row + 1, {})[column + 1] = "is merged with others"
    except (CalamineError, ValueError, LookupError, StopIteration, OSError):
        raise _unread() from None
    rows = (
        (number, [*[""] * left, *cells])
        for number, cells in enumerate(sheet.iter_rows(), start=first)
        if number in bad or any(str(cell).strip() for cell in cells)
    )
    return Sheet(rows, bad)


def reference(row: int, column: int) -> str:
    """A cell as spreadsheets name it, such as `B3`."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row}"


@dataclass(slots=True)
class _Look:
    """What one part of a workbook asks for; making one raises InputError when that is too much."""

    limits: Limits
    content: InitVar[bytes]
    bad: Faults = field(default_factory=dict)
    sheets: list[str] = field(default_factory=list)
    targets: dict[str, str] = field(default_factory=dict)
    _row: int = 0
    _column: int = 0

    def __post_init__(self, content: bytes) -> None:
        parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.StartElementHandler = self._begins
        parser.StartDoctypeDeclHandler = _refuse
        try:
            parser.Parse(content, True)
        except expat.ExpatError:
            raise _unread() from None

    def _begins(self, name: str, given: dict[str, str]) -> None:
        attributes = {key.rpartition(" ")[2]: value for key, value in given.items()}
        match name.rpartition(" ")[2]:
            case "dimension":
                for corner in attributes.get("ref", "A1").split(":"):
                    _within(corner, self.limits)
            case "row":
                self._row, _ = _within(f"A{attributes.get('r', self._row + 1)}", self.limits)
                self._column = 0
            case "c":
                here = attributes.get("r") or reference(self._row, self._column + 1)
                self._row, self._column = _within(here, self.limits)
                if attributes.get("t") == "e":
                    self.bad.setdefault(self._row, {})[self._column] = "is an error"
            case "f":
                self.bad.setdefault(self._row, {})[self._column] = (
                    "is a formula: put its value there"
                )
            case "sheet" if "id" in attributes:
                self.sheets.append(attributes["id"])
            case "Relationship":
                self.targets[attributes.get("Id", "")] = attributes.get("Target", "")


def _named(looks: dict[str, _Look], place: int) -> _Look:
    """The sheet at that place of the book; raises LookupError."""
    target = looks[_LINKS].targets[looks[_BOOK].sheets[place]]
    return looks[target.removeprefix("/") if target.startswith("/") else f"xl/{target}"]


def _unpacked(raw: bytes, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """The parts that are XML, together not larger than is allowed, whatever sizes they claim."""
    left = limits.unpacked
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = archive.infolist()
            if len(names) > MOST_PARTS or len({each.filename for each in names}) < len(names):
                raise _unread()
            for each in names:
                if not each.filename.endswith((".xml", ".rels")):
                    continue
                each.file_size = left + 2 * _CHUNK  # what it claims would end the reading early
                content = bytearray()
                with archive.open(each) as part:
                    while chunk := part.read(_CHUNK):
                        content += chunk
                        if len(content) > left:
                            raise wrong("file", "is too large when unpacked", "too_large")
                left -= len(content)
                yield each.filename, bytes(content)
    except _DAMAGED:
        raise _unread() from None


def _within(cell: str, limits: Limits) -> tuple[int, int]:
    """Where a cell is; raises InputError when a sheet with it would be too large."""
    found = _CELL.fullmatch(cell)
    if found is None:
        raise _unread()
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    if int(found[2]) > limits.rows or column > MOST_COLUMNS:
        raise wrong(
            "file",
            f"has a cell at {cell}: copy the list alone into a new workbook, of at most"
            f" {limits.rows:,} rows and {MOST_COLUMNS} columns",
            "too_large",
        )
    return int(found[2]), column


def _refuse(*_args: object) -> None:
    raise _unread()


def _unread() -> InputError:
    return wrong("file", "is not a workbook that can be read: save it as .xlsx", "invalid_format")
