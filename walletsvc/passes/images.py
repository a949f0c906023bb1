"""Template images: one PNG at three times the size in points, from which all densities are made.

Sizes in points are Apple's for a store card; other wallets get what they need from the same
sources.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from PIL import Image, UnidentifiedImageError

SOURCE: Final = 0  # the density a source is stored under
DENSITIES: Final = (1, 2, 3)
MAX_BYTES: Final = 400 * 1024  # of one source; it travels in every pass


@dataclass(frozen=True)
class Box:
    """The size of a kind of image in points; `fit` lets one side be shorter."""

    width: int
    height: int
    fit: bool = False

    @property
    def source(self) -> tuple[int, int]:
        """Pixels of the source."""
        return self.width * 3, self.height * 3


KINDS: Final[Mapping[str, Box]] = MappingProxyType(
    {"icon": Box(38, 38), "logo": Box(160, 50, fit=True), "strip": Box(375, 144)}
)


def faults(kind: str, data: bytes) -> list[str]:
    """What is wrong with a source, in words; empty when nothing is."""
    if kind not in KINDS:
        return [f"is not an image that cards use ({', '.join(KINDS)})"]
    if len(data) > MAX_BYTES:
        return [f"has {len(data) // 1024} KB; at most {MAX_BYTES // 1024} KB travel in every pass"]
    try:
        # Only the header is read here: a picture of absurd size is refused before it is decoded.
        with Image.open(io.BytesIO(data)) as picture:
            if picture.format != "PNG":
                return [f"is a {picture.format} picture, not a PNG"]
            problem = _size_fault(KINDS[kind], *picture.size)
            if problem:
                return [problem]
            picture.load()
    except UnidentifiedImageError:
        return ["is not a picture"]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return [f"is damaged: {error}"]
    return []


def is_readable(data: bytes) -> bool:
    """Whether this is a picture as far as its header tells."""
    try:
        with Image.open(io.BytesIO(data)):
            return True
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def _size_fault(box: Box, width: int, height: int) -> str | None:
    across, down = box.source
    if not box.fit:
        if (width, height) == (across, down):
            return None
        return f"is {width}x{height}, must be {across}x{down} (3x)"
    if width > across or height > down:
        return f"is {width}x{height}, must fit into {across}x{down} (3x)"
    if width < across and height < down:
        return f"is {width}x{height}, too small for 3x: make it {across} wide or {down} high"
    return None


def densities(data: bytes) -> dict[int, bytes]:
    """PNG by density (1, 2, 3) from a source; the same bytes for the same source every time."""
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        picture = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    made = {}
    for density in DENSITIES:
        size = (_scaled(picture.width, density), _scaled(picture.height, density))
        scaled = picture if density == 3 else picture.resize(size, Image.Resampling.LANCZOS)
        made[density] = _png(scaled)
    return made


def _scaled(pixels: int, density: int) -> int:
    return max(1, round(pixels * density / 3))


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    # A fresh image carries none of the source's metadata (authors, dates, colour profiles).
    clean = Image.new(picture.mode, picture.size)
    clean.paste(picture)
    clean.save(out, "PNG", optimize=True)
    return out.getvalue()
