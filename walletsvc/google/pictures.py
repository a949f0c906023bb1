"""The pictures of a class in Google's sizes, made from the sources of the template.

Google fetches them from us, over addresses that name the template version: other pictures,
another address.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from PIL import Image

PATH: Final = "/google/images"

# Each picture's size, and the sources it can be made of, the best first. The programme's logo is
# cut to a circle, so it is the icon in the middle of the card's colour; the wide logo stands in
# place of the shop's name; the hero is the strip.
SIZES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"logo": (660, 660), "wide": (1280, 400), "hero": (1032, 336)}
)
SOURCES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"logo": ("icon", "logo"), "wide": ("logo",), "hero": ("strip",)}
)
# The circle has the picture's width; what stands in this square is inside it with room to spare.
_INSIDE: Final = 0.62


def made_of(kind: str, present: Iterable[str]) -> str | None:
    """The source that a picture is made of; None when the template has none of them."""
    there = set(present)
    return next((source for source in SOURCES[kind] if source in there), None)


def addresses(base_url: str, digest: bytes, present: Iterable[str]) -> dict[str, str]:
    """Where Google finds the pictures of a template version with these sources, by kind."""
    there = set(present)
    return {
        kind: f"{base_url}{PATH}/{digest.hex()}/{kind}.png"
        for kind in SIZES
        if made_of(kind, there) is not None
    }


def draw(kind: str, source: bytes, background: str) -> bytes:
    """One picture as PNG, without transparency: phones in dark mode show what is behind it."""
    with Image.open(io.BytesIO(source)) as opened:
        picture = opened.convert("RGBA")
    width, height = SIZES[kind]
    canvas = Image.new("RGB", (width, height), _ground(kind, picture, background))
    if kind == "hero":
        fitted = _covering(picture, width, height)
    else:
        room = (width * _INSIDE, height * _INSIDE) if kind == "logo" else (width, height)
        fitted = _within(picture, *room)
    at = ((width - fitted.width) // 2, (height - fitted.height) // 2)
    if kind == "wide":
        at = (0, at[1])
    canvas.paste(fitted, at, fitted)
    out = io.BytesIO()
    canvas.save(out, "PNG", optimize=True)
    return out.getvalue()


def _ground(kind: str, picture: Image.Image, background: str) -> str | tuple[int, ...]:
    """An icon's own ground goes on around it, where it has one; else it is the card's."""
    if kind == "logo":
        right, bottom = picture.width - 1, picture.height - 1
        corners = {
            picture.getpixel(at) for at in ((0, 0), (right, 0), (0, bottom), (right, bottom))
        }
        if len(corners) == 1:
            (corner,) = corners
            if isinstance(corner, tuple) and corner[3] == 255:
                return corner[:3]
    return background


def _within(picture: Image.Image, width: float, height: float) -> Image.Image:
    factor = min(width / picture.width, height / picture.height)
    return _scaled(picture, factor)


def _covering(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The middle of the picture, filling the whole."""
    scaled = _scaled(picture, max(width / picture.width, height / picture.height))
    left, top = (scaled.width - width) // 2, (scaled.height - height) // 2
    return scaled.crop((left, top, left + width, top + height))


def _scaled(picture: Image.Image, factor: float) -> Image.Image:
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)
