"""Values as people of a language write them, for wallets and pages that do not do it themselves."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal

from walletsvc.passes.placeholders import Kind
from walletsvc.passes.schemas import DateLook

# Figures and short months fit a narrow column in both languages.
_DATES: Final = {"ru": "dd.MM.y", "en": "d MMM y"}
# The sign is what people know; Babel knows it only in the currency's home language.
_SIGNS: Final = {"RUB": "₽"}


def written(kind: Kind, value: Any, language: str, look: DateLook = DateLook.DATE) -> str:
    """A value of a pass's content in this language; a moment in the zone it comes in."""
    match kind:
        case Kind.NUMBER:
            return format_decimal(value, locale=language)
        case Kind.MONEY:
            amount = Decimal(value["amount"]).scaleb(-value.get("scale", 2))
            return _money(amount, value["currency"], language)
        case Kind.DATE:
            moment = datetime.fromisoformat(value)
            if look is DateLook.DATE:
                return format_date(moment, _DATES[language], locale=language)
            return format_datetime(moment, f"{_DATES[language]}, HH:mm", locale=language)
        case Kind.TEXT:
            return str(value)


def _money(amount: Decimal, currency: str, language: str) -> str:
    """Without a fraction when there is none: `3 500 ₽`, `3 500,50 ₽`."""
    pattern = Locale.parse(language).currency_formats["standard"].pattern
    if currency in _SIGNS:
        pattern = f"#,##0.00\xa0'{_SIGNS[currency]}'"
    if amount == amount.to_integral_value():
        pattern = pattern.replace(".00", "")
    return format_currency(amount, currency, pattern, locale=language, currency_digits=False)
