"""How phones are written, and when two names are the same name."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import phonenumbers

from walletsvc.core.errors import FieldError, InputError, wrong

# What people put between digits. Letters are refused: the library would read them as vanity
# numbers or extensions, and a mistyped field would become somebody's phone.
_WRITTEN: Final = re.compile(r"\+?[\d\s().\-/]+")
_LONGEST: Final = 40

# One address as mail programs take it; whether anybody reads it only a letter can show.
_EMAIL: Final = re.compile(r"[^\s@<>()\[\],;:\\\"]{1,64}@[^\s@.<>,;]+(\.[^\s@.<>,;]+)+")
_EMAIL_LENGTH: Final = 254


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


def check_email(text: str) -> str:
    """The address without outer spaces; raises InputError naming `email`, never repeating it."""
    tidy = unicodedata.normalize("NFC", text).strip()
    if len(tidy) > _EMAIL_LENGTH or not _EMAIL.fullmatch(tidy):
        raise wrong("email", "is not an e-mail address such as name@example.com", "invalid_email")
    return tidy


def masked_name(first_name: str, last_name: str) -> str:
    """Enough of a name to know one's family by, and no more: "Анна К."."""
    return f"{first_name} {last_name[:1].upper()}." if last_name else first_name


def masked_phone(e164: str) -> str:
    """Enough of a phone to see that it is the right one: "+7 ••• ••• 45 67"."""
    return f"{e164[:2]} ••• ••• {e164[-4:-2]} {e164[-2:]}"


def readable_phone(stored: str) -> str:
    """A phone as people write it, "+7 812 555-01-42"; what is none stays as it is."""
    try:
        number = phonenumbers.parse(stored)
    except phonenumbers.NumberParseException:
        return stored
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def name_key(first_name: str, last_name: str) -> str:
    """What is compared to tell whether two names are one: no case, no spacing, ё as е."""
    whole = unicodedata.normalize("NFKC", f"{first_name} {last_name}")
    return " ".join(whole.split()).casefold().replace("ё", "е")
