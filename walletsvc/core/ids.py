"""Random identifiers and check digits. Nothing here is derived from anything: it is drawn."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

# Crockford's base 32 in lower case: no i, l, o, u, so that an id can be read out aloud.
_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
_SPELLED: Final = (_BASE32 * 8).encode()  # a letter for each value of a byte

# The form of a public id: what has another form needs no look at the database.
PUBLIC_ID: Final = re.compile(r"[0-9a-z]{20}")


def public_id() -> str:
    """An id for URLs and answers: 100 random bits as 20 characters of base 32."""
    return spelled(secrets.token_bytes(20), 20)


def spelled(digest: bytes, length: int) -> str:
    """The beginning of a hash in the letters of public ids, to tell things apart."""
    return digest[:length].translate(_SPELLED).decode()


def secret_token() -> str:
    """An unguessable bearer token: 192 random bits, 32 URL-safe characters."""
    return secrets.token_urlsafe(24)


def token_hash(token: str) -> bytes:
    """What is stored to look a random token up: SHA-256 (the token has its own entropy)."""
    return hashlib.sha256(token.encode()).digest()


def luhn_digit(digits: str) -> str:
    """The Luhn check digit for a string of decimal digits (ISO/IEC 7812-1)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def luhn_valid(number: str) -> bool:
    """Whether the last digit is the Luhn check digit of the rest."""
    return (
        number.isascii()
        and number.isdigit()
        and len(number) > 1
        and luhn_digit(number[:-1]) == number[-1]
    )
