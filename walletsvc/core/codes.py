"""Codes made to be read out, typed on any keyboard, and checked at once."""

from __future__ import annotations

import secrets
import unicodedata
from typing import Final

# 29 letters and digits that cannot be taken for one another: no 0 O, 1 I L, S (5), Z (2).
# A prime number of them lets one check character catch every single mistyped character and
# every swap of two neighbours.
ALPHABET: Final = "23456789ABCDEFGHJKMNPQRTUVWXY"

# The same letters on a Russian keyboard look the same and are other characters; S and Z are
# misread digits, for the alphabet has neither.
_LOOKALIKES: Final = str.maketrans("АВЕКМНРСТУХSZ", "ABEKMHPCTYX52")
_LONGEST_TYPED: Final = 64


def _check_character(body: str) -> str:
    total = sum(weight * ALPHABET.index(char) for weight, char in enumerate(body, start=1))
    return ALPHABET[total % len(ALPHABET)]


def _grouped(code: str, group: int) -> str:
    return "-".join(code[start : start + group] for start in range(0, len(code), group))


def new_code(length: int, group: int) -> str:
    """A random code of `length` characters, the last a check character, in groups with hyphens."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(length - 1))
    return _grouped(body + _check_character(body), group)


def written(text: str, length: int, group: int) -> str | None:
    """A code as somebody typed or scanned it, in its written form; None when it cannot be one.

    Case, spaces, hyphens and the keyboard's language do not matter.
    """
    if len(text) > _LONGEST_TYPED:
        return None
    upper = unicodedata.normalize("NFKC", text).upper().translate(_LOOKALIKES)
    code = "".join(char for char in upper if char in ALPHABET)
    noise = set(upper) - set(ALPHABET)
    if (
        len(code) == length
        and all(char == "-" or char.isspace() for char in noise)
        and _check_character(code[:-1]) == code[-1]
    ):
        return _grouped(code, group)
    return None
