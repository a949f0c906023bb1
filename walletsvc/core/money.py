"""Money and points: integers in minor units, never floats."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# A bigint holds 9.2e18; far below that, sums of many entries cannot overflow either.
MAX_AMOUNT = 10**15

CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
PositiveAmount = Annotated[int, Field(strict=True, gt=0, le=MAX_AMOUNT)]


class Money(BaseModel):
    """An amount in the currency's minor unit (kopecks, cents)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    amount: Annotated[int, Field(strict=True, ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
    currency: CurrencyCode


def decimal_text(amount: int, scale: int) -> str:
    """Minor units as a plain decimal: `decimal_text(12345, 2)` is `123.45`."""
    if scale == 0:
        return str(amount)
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), 10**scale)
    return f"{sign}{whole}.{fraction:0{scale}d}"
