"""How a refused command is told: once, and in the words of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from walletsvc.core.errors import InputError, WalletsvcError

# What services call a field, as REST does, beside the option that sets it and how it is written.
_OPTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "columns": ("--column", "--column HEADING=COLUMN"),
    "expected_total": ("--total", "--total"),
    "expires_on": ("--expires", "--expires"),
}
_FIELD: Final = re.compile(rf"^({'|'.join(_OPTIONS)})(\.|(?=:|$))")
_NAMED: Final = re.compile(rf"`({'|'.join(_OPTIONS)})`")


def told(error: WalletsvcError) -> Iterator[str]:
    """The lines to print: what is wrong, then each wrong field that this did not name yet."""
    yield f"Error: {_in_options(error.detail)}"
    if isinstance(error, InputError):
        for each in error.fields:
            if each.message not in error.detail:
                yield f"  {_in_options(each.field)}: {_in_options(each.message)}"


def _in_options(text: str) -> str:
    """A field at the beginning, or a name in backticks, as the option that sets it."""
    text = _FIELD.sub(lambda found: _OPTIONS[found[1]][0] + (" " if found[2] else ""), text)
    return _NAMED.sub(lambda found: _OPTIONS[found[1]][1], text)
