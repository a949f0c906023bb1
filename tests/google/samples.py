"""Small descriptions and contents for Google, and their bodies."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from tests.apple.samples import described
from tests.conftest import NOW
from walletsvc.emulators.google import rules
from walletsvc.emulators.google.schema import TYPES, check, normalise
from walletsvc.google.rendering.classes import Facts, class_body
from walletsvc.google.rendering.objects import Named, ObjectPlan
from walletsvc.passes.schemas import Description

ISSUER: Final = "3388000000022000000"
NAMED: Final = Named(
    object_id=f"{ISSUER}.0123456789abcdefghjk",
    class_id=f"{ISSUER}.guest-01234567",
    serial="0123456789abcdefghjk",
    page="https://cards.example/c/token",
)
FACTS: Final = Facts(
    organisation="Кофейня «Заря»",
    programme="Клуб «Заря»",
    phone="+78125550142",
    website="zarya.example",
    terms_url="https://cards.example/terms/guest",
    pictures={
        kind: f"https://cards.example/google/images/00/{kind}.png"
        for kind in ("logo", "wide", "hero")
    },
    callback_url="https://cards.example/google/callback",
)
CONTENT: Final[dict[str, Any]] = {
    "values": {"points": 1250, "name": "Мария Ёлкина"},
    "barcode": "7000123412341234",
    "organisation": "Кофейня «Заря»",
}


def gift(*fields: dict[str, Any], **changes: Any) -> Description:
    """A gift card with its balance in the header and these fields in the row."""
    header = {"key": "left", "label": "points", "value": "{balance}", "change": "changed"}
    parts: dict[str, Any] = {
        "style": "gift",
        "fields": {"header": [header], "secondary": list(fields)},
        "barcode": {"formats": ["qr"], "message": "{code}", "alt": "{code}"},
    }
    return described(**parts | changes)


def body(
    description: Description,
    language: str = "ru",
    at: datetime = NOW,
    **content: Any,
) -> dict[str, Any]:
    """The object of a content, with parts of it replaced; Google would take it."""
    made = ObjectPlan(description, language).body(CONTENT | content, NAMED, at)
    accepted("Object", description, made)
    return made


def class_of(description: Description, facts: Facts = FACTS, language: str = "ru") -> Any:
    """The class of a description; Google would take it."""
    made = class_body(description, NAMED.class_id, facts, language)
    accepted("Class", description, made)
    return made


def accepted(part: str, description: Description, made: dict[str, Any]) -> None:
    """Raise what the emulator would answer to an insert of this body."""
    family = "loyalty" if description.style == "loyalty" else "giftCard"
    kind = TYPES[f"{family}{part}"]
    given = {
        name: value
        for name, value in normalise(kind.schema, check(kind.schema, made)).items()
        if value is not None
    }
    rules.check_required(kind, given)
    rules.check_fields(kind, given, given)
    rules.issuer_of(given["id"])
    if part == "Class":
        rules.next_review_status(None, given["reviewStatus"], at_once=True)
