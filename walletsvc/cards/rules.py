"""Card numbers."""

from __future__ import annotations

import secrets
from typing import Final

from walletsvc.core.ids import luhn_digit, luhn_valid

NUMBER_LENGTH: Final = 16
# Numbers beginning with 9 are left to national use by ISO/IEC 7812-1: no bank card has one,
# so that a loyalty number is never mistaken for a payment card.
_FIRST: Final = "9"


def new_number() -> str:
    """A random card number: 16 digits, the last one the Luhn check digit."""
    places = NUMBER_LENGTH - 2
    body = f"{_FIRST}{secrets.randbelow(10**places):0{places}}"
    return body + luhn_digit(body)


def number_valid(number: str) -> bool:
    """Whether this could be a number of ours; says nothing about whether the card exists."""
    return len(number) == NUMBER_LENGTH and number[0] == _FIRST and luhn_valid(number)
