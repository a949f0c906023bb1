"""Card numbers."""

from __future__ import annotations

from walletsvc.cards.rules import new_number, number_valid
from walletsvc.core.ids import luhn_digit


def test_numbers_are_sixteen_digits_with_a_check_digit_and_no_bank_cards() -> None:
    """A leading 9 is nobody's bank card; numbers do not repeat."""
    numbers = {new_number() for _ in range(500)}
    assert len(numbers) == 500
    assert all(number_valid(number) and number.startswith("9") for number in numbers)


def test_a_mistyped_number_is_noticed() -> None:
    """Any one digit wrong, a digit too few, letters, another script."""
    number = new_number()
    for place in range(1, 16):
        wrong = str((int(number[place]) + 1) % 10)
        assert not number_valid(number[:place] + wrong + number[place + 1 :])
    foreign = "4" + number[1:-1]
    for text in ("", number[:-1], number + "0", "9" * 15 + "x", "٩" * 16,
                 foreign + luhn_digit(foreign)):  # fmt: skip
        assert not number_valid(text)
