"""Numbers and money are written exactly as Babel would write them."""

from __future__ import annotations

from decimal import Decimal

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
@given(st.decimals(0, 10**6, places=2), LANGUAGE)
def test_plural_forms(number: Decimal, language: str) -> None:
    """One word for one, another for two, a third for five."""
    assert numerals.plural_form(number, language) == Locale(language).plural_form(number)
