"""Codes of invitations, and how long and how often they serve."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from walletsvc.core import codes
from walletsvc.core.errors import wrong

LENGTH: Final = 9  # 8 random characters (38 bits) and the check character: read out on a phone
LIFETIME: Final = timedelta(hours=24)
MOST_OPEN: Final = 5
_GROUP: Final = 3


def new_code() -> str:
    """A random code in its written form, `XXX-XXX-XXX`."""
    return codes.new_code(LENGTH, _GROUP)


def normalise_code(text: str) -> str:
    """A code as somebody typed it, in its written form; raises InputError, never repeating it."""
    code = codes.written(text, LENGTH, _GROUP)
    if code is None:
        message = "is not a code of an invitation: please check each character"
        raise wrong("code", message, "invalid_code")
    return code
