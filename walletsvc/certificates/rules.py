"""Certificate codes: made to be read out, typed on any keyboard, and checked at once."""

from __future__ import annotations

import secrets
import unicodedata
from typing import Final

from walletsvc.core.errors import FieldError, InputError

# 29 letters and digits that cannot be taken for one another: no 0 O, 1 I L, S (5), Z (2).
# A prime number of them lets one check character catch every single mistyped character and
# every swap of two neighbours.
ALPHABET: Final = "23456789ABCDEFGHJKMNPQRTUVWXY"
LENGTH: Final = 16  # 15 random characters (72 bits) and the check character
_GROUP: Final = 4

# The same letters on a Russian keyboard look the same and are other characters; S and Z are
# misread digits, for the alphabet has neither.
_LOOKALIKES: Final = str.maketrans("АВЕКМНРСТУХSZ", "ABEKMHPCTYX52")


def _check_character(body: str) -> str:
    total = sum(weight * ALPHABET.index(char) for weight, char in enumerate(body, start=1))
    return ALPHABET[total % len(ALPHABET)]


def _grouped(code: str) -> str:
    return "-".join(code[start : start + _GROUP] for start in range(0, LENGTH, _GROUP))


def new_code() -> str:
    """A random code in its written form, `XXXX-XXXX-XXXX-XXXX`."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH - 1))
    return _grouped(body + _check_character(body))


def normalise_code(text: str) -> str:
    """A code as somebody typed or scanned it, in its written form.

    Case, spaces, hyphens and the keyboard's language do not matter. Raises InputError, which
    never repeats the code, when it cannot be one.
    """
    if len(text) <= 64:
        upper = unicodedata.normalize("NFKC", text).upper().translate(_LOOKALIKES)
        code = "".join(char for char in upper if char in ALPHABET)
        noise = set(upper) - set(ALPHABET)
        if (
            len(code) == LENGTH
            and all(char == "-" or char.isspace() for char in noise)
            and _check_character(code[:-1]) == code[-1]
        ):
            return _grouped(code)
    message = "is not a certificate code: please check each character"
    raise InputError(f"code: {message}.", (FieldError("code", message, "invalid_code"),))
