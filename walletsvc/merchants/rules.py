"""What names, slugs and time zones may be."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from walletsvc.core.errors import wrong

_SLUG: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
SLUG_LENGTH: Final = 40


def check_slug(slug: str, field: str = "slug") -> str:
    """The slug itself; raises InputError unless it can stand in an address."""
    if len(slug) > SLUG_LENGTH or not _SLUG.fullmatch(slug):
        raise wrong(
            field,
            f"must be up to {SLUG_LENGTH} lower-case Latin letters and digits, "
            "in words joined by single hyphens, and begin with a letter",
            "invalid_format",
        )
    return slug


def check_text(field: str, text: str, length: int, *, required: bool = True) -> str:
    """The text with outer and double spaces removed.

    Raises InputError when it is empty though required, too long, or holds control characters.
    """
    tidy = " ".join(text.split())
    if required and not tidy:
        raise wrong(field, "must not be empty", "required")
    if len(tidy) > length:
        raise wrong(field, f"must be at most {length} characters long", "too_long")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in tidy):
        raise wrong(field, "must not hold control characters", "invalid_characters")
    return tidy


def check_time_zone(name: str, field: str = "time_zone") -> str:
    """The name itself; raises InputError when it is not in the IANA data base."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise wrong(field, "is not a time zone such as Europe/Moscow", "not_allowed") from None
    return name
