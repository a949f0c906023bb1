"""How plastic numbers are written."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from walletsvc.core.errors import wrong

SHORTEST: Final = 3
LONGEST: Final = 40
# Hyphens and dashes of every kind, as copies out of a spreadsheet have them, and dots and slashes.
_BETWEEN: Final = re.compile(r"[\s\-‐-―−./_]+")


def normalise(text: str, field: str = "plastic_number") -> str:
    """A number as it is kept: upper case, without what people put between its groups.

    Raises InputError for what cannot be one.
    """
    number = _BETWEEN.sub("", unicodedata.normalize("NFKC", text)).upper()
    if not SHORTEST <= len(number) <= LONGEST or not number.isalnum():
        raise wrong(field, f"must be {SHORTEST} to {LONGEST} letters and digits", "invalid_format")
    return number
