"""Small templates for pre-flight, with something changed."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from PIL import Image

from tests.apple.samples import described
from tests.conftest import NOW
from walletsvc.apple import preflight
from walletsvc.passes.findings import Finding
from walletsvc.passes.images import DENSITIES, KINDS
from walletsvc.passes.protocol import Candidate
from walletsvc.passes.samples import Issuer

BACKGROUND = (10, 20, 30)


def png(size: tuple[int, int], colour: tuple[int, ...] = BACKGROUND) -> bytes:
    """A picture of one colour; with four numbers it has an alpha channel."""
    out = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def pictures(**colours: tuple[int, ...]) -> dict[str, dict[int, bytes]]:
    """Every kind at every density; the named kinds in another colour."""
    return {
        kind: {
            density: png((box.width * density, box.height * density), colours.get(kind, BACKGROUND))
            for density in DENSITIES
        }
        for kind, box in KINDS.items()
    }


def candidate(
    images: dict[str, dict[int, bytes]] | None = None,
    issuer: Issuer = Issuer(),  # noqa: B008 - it is frozen
    **changes: Any,
) -> Candidate:
    """The small template of the package tests with parts replaced; without a logo text."""
    parts: dict[str, Any] = {"sharing_prohibited": True, "logo_text": None}
    description = described(**parts | changes)
    made = pictures() if images is None else images
    return Candidate(description, made, issuer)


def fields(**places: list[dict[str, Any]]) -> dict[str, Any]:
    """Fields by place, beside a header with the balance."""
    header = {"key": "points", "label": "points", "value": "{points}", "change": "changed"}
    return {"fields": {"header": [header], **places}}


def texts(**ru: str) -> dict[str, Any]:
    """The texts of the small template with some replaced or added, in both languages."""
    known = described().texts
    return {"texts": {language: {**own, **ru} for language, own in known.items()}}


def examined(subject: Candidate, base_url: str = "https://cards.example") -> list[Finding]:
    """What Apple's side says, without a database."""
    return preflight.examine(subject, base_url=base_url, language="ru", session=None, now=NOW)


def told(found: Iterable[Finding], code: str) -> list[Finding]:
    """Those with the code."""
    return [finding for finding in found if finding.code == code]
