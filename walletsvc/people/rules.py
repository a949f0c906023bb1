"""How phones are written, and when two names are the same name."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import phonenumbers

from walletsvc.core.errors import FieldError, InputError

# What people put between digits. Letters are refused: the library would read them as vanity
# numbers or extensions, and a mistyped field would become somebody's phone.
_WRITTEN: Final = re.compile(r"\+?[\d\s().\-/]+")
_LONGEST: Final = 40


def _wrong() -> InputError:
    message = "is not a phone number; write it with its country code, such as +7 900 123-45-67"
    return InputError(f"phone: {message}.", (FieldError("phone", message, "invalid_phone"),))


def normalise_phone(text: str, region: str = "RU") -> str:
    """A phone as people write it, in E.164.

    Without a plus the number is read as dialled in `region`: for Russia 8…, 7… and the bare
    ten digits are the same phone. Raises InputError, which never repeats the number.
    """
    tidy = re.sub(r"[‐-―−]", "-", unicodedata.normalize("NFKC", text)).strip()
    if len(tidy) > _LONGEST or not tidy.isascii() or not _WRITTEN.fullmatch(tidy):
        raise _wrong()
    try:
        number = phonenumbers.parse(tidy, region)
    except phonenumbers.NumberParseException:
        raise _wrong() from None
    if not phonenumbers.is_valid_number(number):
        raise _wrong()
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def name_key(first_name: str, last_name: str) -> str:
    """What is compared to tell whether two names are one: no case, no spacing, ё as е."""
    whole = unicodedata.normalize("NFKC", f"{first_name} {last_name}")
    return " ".join(whole.split()).casefold().replace("ё", "е")
