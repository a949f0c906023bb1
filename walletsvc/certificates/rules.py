"""Certificate codes."""

from __future__ import annotations

from typing import Final

from walletsvc.core import codes
from walletsvc.core.codes import ALPHABET
from walletsvc.core.errors import wrong

__all__ = ["ALPHABET", "LENGTH", "new_code", "normalise_code"]

LENGTH: Final = 16  # 15 random characters (72 bits) and the check character
_GROUP: Final = 4


def new_code() -> str:
    """A random code in its written form, `XXXX-XXXX-XXXX-XXXX`."""
    return codes.new_code(LENGTH, _GROUP)


def normalise_code(text: str) -> str:
    """A code as somebody typed or scanned it, in its written form.

    Case, spaces, hyphens and the keyboard's language do not matter. Raises InputError, which
    never repeats the code, when it cannot be one.
    """
    code = codes.written(text, LENGTH, _GROUP)
    if code is None:
        raise wrong(
            "code", "is not a certificate code: please check each character", "invalid_code"
        )
    return code
