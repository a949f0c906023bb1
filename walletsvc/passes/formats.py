"""Values as people of a language write them, for wallets and pages that do not do it themselves."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import NumberPattern, format_decimal, parse_pattern

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
            return format_decimal(value, locale=_locale(language))
        case Kind.MONEY:
            amount = Decimal(value["amount"]).scaleb(-value.get("scale", 2))
            return _money(amount, value["currency"], language)
        case Kind.DATE:
            moment = datetime.fromisoformat(value)
            if look is DateLook.DATE:
                return format_date(moment, _DATES[language], locale=_locale(language))
            pattern = f"{_DATES[language]}, HH:mm"
            return format_datetime(moment, pattern, locale=_locale(language))
        case Kind.TEXT | Kind.LINK:
            return str(value)


def _money(amount: Decimal, currency: str, language: str) -> str:
    """Without a fraction when there is none: `3 500 ₽`, `3 500,50 ₽`."""
    pattern = _pattern(currency, language, amount == amount.to_integral_value())
    # Not the currency's own decimals, but those of the pattern.
    shown: str = pattern.apply(amount, _locale(language), currency=currency, currency_digits=False)
    return shown


@lru_cache
def _pattern(currency: str, language: str, whole: bool) -> NumberPattern:
    pattern: str = _locale(language).currency_formats["standard"].pattern
    if currency in _SIGNS:
        pattern = f"#,##0.00\xa0'{_SIGNS[currency]}'"
    return parse_pattern(pattern.replace(".00", "") if whole else pattern)


@lru_cache
def _locale(language: str) -> Locale:
    return Locale.parse(language)
