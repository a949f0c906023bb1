"""What is meant by a cell: amounts and days as people write them."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

_BLANKS: Final = re.compile(r"[\s\u00a0\u202f]")
_AMOUNT: Final = re.compile(r"(?P<whole>[0-9]{1,15})(?:[.,](?P<decimals>[0-9]{1,4}))?")
_GROUPED: Final = re.compile(r"[1-9][0-9]{0,2}(?:[.,'’][0-9]{3})+(?:[.,][0-9]{1,2})?")
_DAYS: Final = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?:[T ][\d:.]+)?"),
    re.compile(r"(?P<d>\d{1,2})[./](?P<m>\d{1,2})[./](?P<y>\d{4})(?: [\d:.]+)?"),
)


def minor_units(written: str, scale: int) -> int | None:
    """An amount of nothing or more in minor units; None when it is none, or has more decimals.

    Zeros are decimals too: `1,000` may be a thousand.
    """
    found = _AMOUNT.fullmatch(_plain(written))
    decimals = (found["decimals"] or "") if found else ""
    if found is None or len(decimals) > scale:
        return None
    return int(found["whole"] + decimals.ljust(scale, "0"))


def not_an_amount(written: str, scale: int, least: str) -> str:
    """What to tell of an amount that is none; `least` says how much it has to be."""
    decimals = f"at most {scale} decimals" if scale else "no decimals"
    grouped = _GROUPED.fullmatch(_plain(written))
    hint = ": write it without thousands separators" if grouped else ""
    return f"must be a number {least} with {decimals}{hint}"


def _plain(written: str) -> str:
    return _BLANKS.sub("", written).removesuffix("₽")


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
