"""Numbers and money are written exactly as Babel would write them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

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
    """Whatever the currency, those without hundredths too."""
    expected = format_currency(Decimal(minor) / 100, currency, locale=language)
    assert numerals.money(minor, currency, language) == expected


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
