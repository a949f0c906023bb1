"""Values of a pass's content in the forms that Google's fields take."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from walletsvc.passes.formats import written
from walletsvc.passes.placeholders import Kind
from walletsvc.passes.schemas import DateLook

_INT32: Final = 2**31
_INT64: Final = 2**63
_MICROS: Final = 6


def money(value: Mapping[str, Any]) -> dict[str, Any] | None:
    """Google's Money in millionths; None for more than fits, which no card holds."""
    scale = value.get("scale", 2)
    amount: int = value["amount"]
    micros = amount * 10 ** (_MICROS - scale) if scale <= _MICROS else amount // 10 ** (scale - 6)
    if not -_INT64 <= micros < _INT64:
        return None
    return {"micros": str(micros), "currencyCode": value["currency"]}


def points(value: Any, shown: str) -> dict[str, Any]:
    """A LoyaltyPointsBalance: one of its forms, and null for those that another value may have
    had. `shown` is the value as a text, for what is neither number nor money."""
    balance: dict[str, Any] = {"string": None, "int": None, "double": None, "money": None}
    if isinstance(value, dict):
        found = money(value)
        balance |= {"string": shown} if found is None else {"money": found}
    elif isinstance(value, int) and -_INT32 <= value < _INT32:
        balance["int"] = value
    elif isinstance(value, int | float):
        balance["double"] = float(value)
    else:
        balance["string"] = shown
    return balance


def spelled(value: Any, *, is_moment: bool, look: DateLook, language: str) -> str:
    """A value of content as a text in this language."""
    if isinstance(value, dict):
        return _money(value["amount"], value["currency"], value.get("scale", 2), language)
    if isinstance(value, str):
        if not is_moment:
            return value
        # Of a day only the day matters: then many cards share one text.
        return _moment(value[:10] if look is DateLook.DATE else value, look, language)
    return _number(value, language)


@lru_cache(maxsize=4096)
def _number(value: float, language: str) -> str:
    return written(Kind.NUMBER, value, language)


@lru_cache(maxsize=4096)
def _money(amount: int, currency: str, scale: int, language: str) -> str:
    value = {"amount": amount, "currency": currency, "scale": scale}
    return written(Kind.MONEY, value, language)


@lru_cache(maxsize=4096)
def _moment(value: str, look: DateLook, language: str) -> str:
    try:
        datetime.fromisoformat(value)
    except ValueError:  # no moment, whatever the template says: shown as it is
        return value
    return written(Kind.DATE, value, language, look)
