"""What a template may ask for: the placeholders of each style, and what kind of value they give."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from walletsvc.passes.schemas import PLACEHOLDER, FieldSpec, Style


class Kind(enum.StrEnum):
    """How a value is to be shown."""

    NUMBER = "number"
    MONEY = "money"
    DATE = "date"
    TEXT = "text"
    LINK = "link"  # a path of our own pages; wallets and pages put the address before it


_EVERYWHERE: Final = {
    "programme": Kind.TEXT,
    "organisation": Kind.TEXT,
    "support_phone": Kind.TEXT,
    "website": Kind.TEXT,
    "terms_url": Kind.LINK,
}

KNOWN: Final[Mapping[Style, Mapping[str, Kind]]] = MappingProxyType(
    {
        Style.LOYALTY: {
            "points": Kind.NUMBER,
            "holder_name": Kind.TEXT,
            "first_name": Kind.TEXT,
            "card_number": Kind.TEXT,
            "member_since": Kind.DATE,
            "tier": Kind.TEXT,
            "next_tier": Kind.TEXT,
            "stamps": Kind.NUMBER,
            "stamps_needed": Kind.NUMBER,
            "rewards": Kind.NUMBER,
            "discount": Kind.TEXT,
            **_EVERYWHERE,
        },
        Style.GIFT: {
            "balance": Kind.MONEY,
            "face_value": Kind.MONEY,
            "code": Kind.TEXT,
            "recipient_name": Kind.TEXT,
            "valid_until": Kind.DATE,
            **_EVERYWHERE,
        },
    }
)


def sole(value: str) -> str | None:
    """The placeholder that is all of `value` and so keeps its type, or None."""
    match = PLACEHOLDER.fullmatch(value)
    return match.group(1) if match else None


def kind(style: Style, spec: FieldSpec) -> Kind:
    """What kind of value a field shows; fixed texts and mixed values are text."""
    name = sole(spec.value) if spec.value is not None else None
    return KNOWN[style].get(name, Kind.TEXT) if name else Kind.TEXT


def faults(style: Style, value: str) -> list[str]:
    """What is wrong with a text that holds placeholders, in words; empty when nothing is."""
    known = KNOWN[style]
    found = []
    for name in PLACEHOLDER.findall(value):
        if name not in known:
            choices = ", ".join(sorted(known))
            found.append(f"{{{name}}} is not a placeholder of a {style} card ({choices})")
        elif known[name] in (Kind.MONEY, Kind.DATE, Kind.LINK) and sole(value) is None:
            # Its look depends on the language or the wallet, and a mixed value has none.
            found.append(f"{{{name}}} must stand alone, without other text around it")
    if re.search(r"[{}]", PLACEHOLDER.sub("", value)):
        found.append("has a brace that is not part of a placeholder such as {programme}")
    return found
