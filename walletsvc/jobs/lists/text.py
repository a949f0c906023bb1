"""Tables as text: what spreadsheets call CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from walletsvc.core.errors import wrong


def lines(raw: bytes) -> Iterator[tuple[int, list[str]]]:
    """The lines that hold something, each with its number in the file.

    UTF-8, or what spreadsheets on Windows save in Russia; commas, semicolons or tabs. Raises
    InputError for what is no text.
    """
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        content = raw.decode("cp1251", errors="replace")
    if "\x00" in content:
        raise wrong("file", "is not text", "invalid_format")
    first = next((line for line in io.StringIO(content, newline="") if line.strip()), "")
    separator = max(",;\t", key=first.count)
    # Soft line breaks, at which `splitlines` would part a row, are part of a cell.
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1  # of the next row: a quoted cell may span lines
    except csv.Error as error:
        raise wrong("file", f"cannot be read at line {line}: {error}", "invalid_format") from None
