"""Numbers and money are written as Babel would write them, money with its sign or set apart."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

import pytest
from babel import Locale
from babel.numbers import format_currency, format_decimal
from hypothesis import given
from hypothesis import strategies as st

from tests.programmes.rulebook.strategies import HOW_MANY
from walletsvc.programmes.rulebook import numerals

LANGUAGE = st.sampled_from(["ru", "en"])
CURRENCY = st.sampled_from(["RUB", "EUR", "USD", "KZT", "BYN", "JPY", "KWD", "XXX"])


@HOW_MANY
@given(st.integers(-(10**6), 10**16) | st.integers(0, 10_000), CURRENCY, LANGUAGE)
def test_money(minor: int, currency: str, language: str) -> None:
    """Whatever the currency, those without hundredths too; roubles as people write them, and codes
    of letters apart from the number."""
    expected = format_currency(Decimal(minor) / 100, currency, locale=language)
    apart = re.sub(r"(?<=[A-Z])(?=\d)", "\xa0", expected)
    roubles = re.sub(r"^(-?)RUB\xa0(.*)$", "\\1\\2\xa0₽", apart)
    assert numerals.money(minor, currency, language) == roubles


@pytest.mark.parametrize(
    ("currency", "language", "expected"),
    [
        ("RUB", "ru", "1 250,50 ₽"),
        ("RUB", "en", "1,250.50 ₽"),
        ("KZT", "en", "KZT 1,250.50"),
        ("EUR", "en", "€1,250.50"),
    ],
)
def test_a_sum_as_people_read_it(currency: str, language: str, expected: str) -> None:
    """One sum on a receipt, in words that need no rule."""
    assert numerals.money(125050, currency, language).replace("\xa0", " ") == expected
    short = numerals.short_money(Decimal("1250.50"), currency, language)
    assert short.replace("\xa0", " ") == expected


@HOW_MANY
@given(
    st.decimals(0, 10**12, places=6) | st.integers(0, 10**9).map(Decimal), LANGUAGE
)  # fmt: skip
def test_decimals(number: Decimal, language: str) -> None:
    """Groups, the point, and no more than four digits after it."""
    expected = format_decimal(number, "#,##0.####", locale=language)
    assert numerals.decimal(number, language) == expected


@HOW_MANY
@given(
    st.integers(0, 10**9), st.sampled_from([1, 3, 7, 100, 2000]) | st.integers(1, 10**6), LANGUAGE
)
def test_counted(numerator: int, denominator: int, language: str) -> None:
    """Four digits at most, half of the last one rounded up, and the word of just that number: one
    for one, another for two, a third for five."""
    exact = (Decimal(numerator) / denominator).quantize(Decimal("0.0001"), ROUND_HALF_UP)
    shown = Decimal(f"{exact:f}".rstrip("0").rstrip(".") if "." in f"{exact:f}" else exact)
    said, form = numerals.counted(numerator, denominator, language)
    assert said == format_decimal(shown, "#,##0.####", locale=language)
    assert form == Locale(language).plural_form(shown)
