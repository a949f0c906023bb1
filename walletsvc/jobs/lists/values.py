"""What is meant by a cell: amounts and days as people write them."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

_BLANKS: Final = re.compile(r"[\s\u00a0\u202f]")
_DAYS: Final = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?:[T ][\d:.]+)?"),
    re.compile(r"(?P<d>\d{1,2})[./](?P<m>\d{1,2})[./](?P<y>\d{4})(?: [\d:.]+)?"),
)


def minor_units(written: str, scale: int) -> int | None:
    """An amount of nothing or more in minor units; None when it is none, or has more decimals."""
    plain = _BLANKS.sub("", written).replace(",", ".").removesuffix("₽")
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,4})?", plain):
        return None
    try:
        amount = Decimal(plain).scaleb(scale)
    except InvalidOperation:
        return None
    whole = int(amount)
    return whole if whole == amount else None


def day(written: str) -> date | None:
    """A day as `1990-12-31` or `31.12.1990`, with or without a time; None when it is none."""
    for form in _DAYS:
        found = form.fullmatch(written.strip())
        if found is not None:
            try:
                return date(int(found["y"]), int(found["m"]), int(found["d"]))
            except ValueError:
                return None
    return None


def digits(number: float) -> str:
    """A number in a cell as somebody would have typed it."""
    return f"{number:.15g}"  # as many digits as a spreadsheet keeps
