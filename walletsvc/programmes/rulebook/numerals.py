"""Numbers and money as a language writes them, quickly: what Babel would say, worked out once.
Roubles have their sign in every language, and a code of letters stands apart from its number.

Babel interprets its pattern anew for each number; a receipt has a dozen of them. A test compares.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Final

from babel import Locale
from babel.numbers import NumberPattern, format_currency, get_currency_symbol, parse_pattern

_MINOR: Final = 100
_TEN_THOUSAND: Final = 10_000
_MOST_DIGITS: Final = Decimal("0.0001")
_PROBE: Final = "1"
# The sign is what people know; Babel knows it only in the currency's home language.
_SIGNS: Final = {"RUB": "₽"}


def decimal(number: Decimal, language: str) -> str:
    """A number from 0 on, with groups of three digits and at most four after the point."""
    group, point = _separators(language)
    shown = number.quantize(_MOST_DIGITS, ROUND_HALF_EVEN)
    whole, _, fraction = f"{shown:,f}".partition(".")
    fraction = fraction.rstrip("0")
    return whole.replace(",", group) + (point + fraction if fraction else "")


def counted(numerator: int, denominator: int, language: str) -> tuple[str, str]:
    """A quotient from 0 on, with at most four digits after the point, half of the last one rounded
    up; and which form of a word goes with it."""
    whole, rest = divmod(
        (2 * _TEN_THOUSAND * numerator + denominator) // (2 * denominator), _TEN_THOUSAND
    )
    group, point = _separators(language)
    said = f"{whole:,}".replace(",", group)
    if not rest:
        return said, _form(str(whole), language)
    fraction = f"{rest:04}".rstrip("0")
    return f"{said}{point}{fraction}", _form(f"{whole}.{fraction}", language)


def money(minor: int, currency: str, language: str) -> str:
    """So many hundredths of a currency, with all digits after the point: `1,250.00 ₽`."""
    if minor < 0 or not _two_digits(currency, language):
        return _written(Decimal(minor) / _MINOR, currency, language)
    group, point = _separators(language)
    before, after = _around(currency, language)
    whole, rest = divmod(minor, _MINOR)
    return f"{before}{f'{whole:,}'.replace(',', group)}{point}{rest:02}{after}"


def short_money(amount: Decimal, currency: str, language: str) -> str:
    """Money for people to read, without a fraction when there is none: `3 500 ₽`, `3 500,50 ₽`."""
    pattern = _short_pattern(currency, language, amount == amount.to_integral_value())
    # Not the currency's own decimals, but those of the pattern.
    shown: str = pattern.apply(amount, _locale(language), currency=currency, currency_digits=False)
    return shown


@lru_cache(maxsize=4096)
def _form(written: str, language: str) -> str:
    # As it is written: `1.0` is not `1`.
    return Locale(language).plural_form(Decimal(written))


@lru_cache
def _short_pattern(currency: str, language: str, whole: bool) -> NumberPattern:
    pattern = _pattern(currency, language)
    return parse_pattern(pattern.replace(".00", "") if whole else pattern)


@lru_cache(maxsize=1024)
def _pattern(currency: str, language: str) -> str:
    if currency in _SIGNS:
        return f"#,##0.00\xa0'{_SIGNS[currency]}'"
    pattern: str = _locale(language).currency_formats["standard"].pattern
    if get_currency_symbol(currency, language)[-1].isalpha():
        # A code of letters stands apart from its number (CLDR's `currencySpacing`, which Babel
        # leaves out): `KZT 100`.
        return pattern.replace("¤#", "¤\xa0#")
    return pattern


@lru_cache
def _locale(language: str) -> Locale:
    return Locale.parse(language)


@lru_cache
def _separators(language: str) -> tuple[str, str]:
    symbols = Locale(language).number_symbols["latn"]
    return symbols["group"], symbols["decimal"]


def _written(amount: Decimal, currency: str, language: str) -> str:
    return format_currency(amount, currency, _pattern(currency, language), locale=language)


@lru_cache(maxsize=1024)
def _said(currency: str, language: str) -> str:
    return _written(Decimal(_PROBE), currency, language)


def _two_digits(currency: str, language: str) -> bool:
    point = _separators(language)[1]
    return f"{_PROBE}{point}00" in _said(currency, language)


@lru_cache(maxsize=1024)
def _around(currency: str, language: str) -> tuple[str, str]:
    before, _, after = _said(currency, language).partition(f"{_PROBE}{_separators(language)[1]}00")
    return before, after
