"""Money and points: integers in minor units, never floats."""

from __future__ import annotations

from typing import Final

# A bigint holds 9.2e18; far below that, sums of many entries cannot overflow either.
MAX_AMOUNT: Final = 10**15


def decimal_text(amount: int, scale: int) -> str:
    """Minor units as a plain decimal: `decimal_text(12345, 2)` is `123.45`."""
    if scale == 0:
        return str(amount)
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), 10**scale)
    return f"{sign}{whole}.{fraction:0{scale}d}"
