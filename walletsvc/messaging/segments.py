"""How many SMS a text is: operators charge for each.

A text of the GSM 03.38 alphabet has 160 places in one SMS and 153 in each of several; any other
letter makes it UCS-2 with 70 and 67 (3GPP TS 23.038, TS 23.040: the rest is the header that puts
the parts together). What needs two places is never cut in the middle.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED: Final = frozenset("\f^{}\\[~]|€")  # an escape and a letter


class Encoding(enum.StrEnum):
    """How the letters travel."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


_PLACES: Final = {Encoding.GSM7: (160, 153), Encoding.UCS2: (70, 67)}


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text comes to: `characters` are places of its encoding, `segments` SMS to pay for."""

    encoding: Encoding
    characters: int
    segments: int


def count(text: str) -> Segments:
    """What a text comes to as SMS; an empty one is none."""
    if all(letter in _BASIC or letter in _ESCAPED for letter in text):
        encoding = Encoding.GSM7
        widths = [2 if letter in _ESCAPED else 1 for letter in text]
    else:
        encoding = Encoding.UCS2
        widths = [2 if ord(letter) > 0xFFFF else 1 for letter in text]
    total = sum(widths)
    whole, part = _PLACES[encoding]
    if total <= whole:
        return Segments(encoding, total, 1 if total else 0)
    segments, room = 1, part
    for width in widths:
        if width > room:
            segments, room = segments + 1, part
        room -= width
    return Segments(encoding, total, segments)
