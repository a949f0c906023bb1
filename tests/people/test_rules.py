"""Phones and names as people write them."""

from __future__ import annotations

import pytest

from walletsvc.core.errors import InputError
from walletsvc.people.rules import name_key, normalise_phone


@pytest.mark.parametrize(
    ("written", "phone"),
    [
        ("+79001234567", "+79001234567"),
        ("89001234567", "+79001234567"),
        ("79001234567", "+79001234567"),
        ("9001234567", "+79001234567"),
        ("8 (900) 123-45-67", "+79001234567"),
        ("  +7 900 123 45 67 ", "+79001234567"),
        ("+7.900.123.45.67", "+79001234567"),
        ("8 900 123–45–67", "+79001234567"),
        ("+7\u00a0900\u00a0123\u00a045\u00a067", "+79001234567"),
        ("＋７９００１２３４５６７", "+79001234567"),
        ("8 800 555 35 35", "+78005553535"),
        ("+375 29 123-45-67", "+375291234567"),
        ("8 10 375 29 123 45 67", "+375291234567"),
        ("+1 202 555 0123", "+12025550123"),
        ("+998 90 123 45 67", "+998901234567"),
    ],
)
def test_a_phone_is_the_same_however_it_is_written(written: str, phone: str) -> None:
    """Spaces, brackets, dashes, the trunk 8, a missing plus: one number, one E.164."""
    assert normalise_phone(written) == phone


def test_normalising_twice_changes_nothing() -> None:
    """What is stored can be given back."""
    assert normalise_phone(normalise_phone("8 900 123 45 67")) == "+79001234567"


def test_another_country_dials_in_its_own_way() -> None:
    """The region decides what a number without a plus means."""
    assert normalise_phone("0176 12345678", region="DE") == "+4917612345678"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "+", "0", "123", "900 123", "+7 900 123-45-6", "+7 900 123-45-678",
        "+7 000 000-00-00", "8-800-COFFEE-1", "+79001234567 ext 5", "+79001234567;5",
        "+79001234567,", "phone", "+7900123456٧x", "++79001234567", "9" * 41, "\x00",
        "+79001234567\x00", "+999 123 456 789", "7+9001234567", "\ud83d",
    ],
)  # fmt: skip
def test_what_is_no_phone_is_refused_and_never_repeated(text: str) -> None:
    """The message goes to logs and screens: it must not hold what somebody typed."""
    with pytest.raises(InputError) as caught:
        normalise_phone(text)
    assert caught.value.fields[0].code == "invalid_phone"
    with pytest.raises(InputError) as other:
        normalise_phone("something else")
    assert caught.value.detail == other.value.detail


def test_names_are_compared_as_people_do() -> None:
    """Case, spacing and ё do not make another person; letters do."""
    assert name_key("Пётр", "ОРЛОВ") == name_key(" петр", "Орлов ")
    assert name_key("Anna Maria", "") == name_key("ANNA  MARIA", "")
    assert name_key("Анна", "") != name_key("Аня", "")
    assert name_key("Strauß", "") == name_key("STRAUSS", "")
