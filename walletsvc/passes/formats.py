"""Values as people of a language write them, for wallets and pages that do not do it themselves."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal

from walletsvc.passes.placeholders import Kind
from walletsvc.passes.schemas import DateLook
from walletsvc.programmes.rulebook.numerals import short_money

# Figures and short months fit a narrow column in both languages.
_DATES: Final = {"ru": "dd.MM.y", "en": "d MMM y"}


def written(kind: Kind, value: Any, language: str, look: DateLook = DateLook.DATE) -> str:
    """A value of a pass's content in this language; a moment in the zone it comes in."""
    match kind:
        case Kind.NUMBER:
            return format_decimal(value, locale=_locale(language))
        case Kind.MONEY:
            amount = Decimal(value["amount"]).scaleb(-value.get("scale", 2))
            return short_money(amount, value["currency"], language)
        case Kind.DATE:
            moment = datetime.fromisoformat(value)
            if look is DateLook.DATE:
                return format_date(moment, _DATES[language], locale=_locale(language))
            pattern = f"{_DATES[language]}, HH:mm"
            return format_datetime(moment, pattern, locale=_locale(language))
        case Kind.TEXT | Kind.LINK:
            return str(value)


@lru_cache
def _locale(language: str) -> Locale:
    return Locale.parse(language)
