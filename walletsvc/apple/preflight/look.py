"""Images of a store card: densities, sizes, an opaque icon, text that is legible on the strip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Final

from PIL import Image

from walletsvc.apple.preflight.room import PRIMARY, ROOM, sample_for
from walletsvc.passes.findings import LAYOUT, Finding, error, image_file, warning
from walletsvc.passes.images import DENSITIES, KINDS, Box
from walletsvc.passes.protocol import Candidate
from walletsvc.passes.template_checks import contrast
from walletsvc.passes.typography import width

# The primary field over the strip, in points from its upper left corner.
_MARGIN: Final = 15.0
_VALUE_LINE: Final = (42.0, 86.0)
_LABEL_LINE: Final = (88.0, 106.0)
# Of large text: below 3 it is hard to read, below 2 it is gone (WCAG 2.2, 1.4.3, asks for 3).
_HARD: Final = 3.0
_GONE: Final = 2.0
# Sizes are estimates: so much of a text's width is certain, and only that is looked at.
_CERTAIN: Final = 0.8
_OPAQUE: Final = 255


def findings(candidate: Candidate) -> list[Finding]:
    """What is wrong with the images, and with the colours on top of them."""
    found = list(_densities(candidate.pictures))
    icon = candidate.pictures.get("icon", {})
    if icon and _is_transparent(icon[max(icon)]):
        text = "is transparent in places; notifications show these black: fill the background"
        found.append(warning("icon-transparent", image_file("icon"), "", text))
    return [*found, *_over_strip(candidate)]


def _densities(pictures: Mapping[str, Mapping[int, bytes]]) -> Iterator[Finding]:
    for kind, box in KINDS.items():
        made = pictures.get(kind, {})
        missing = [f"@{density}x" for density in DENSITIES if density not in made]
        if len(missing) == len(DENSITIES):
            if kind == "icon":
                text = "is missing; Wallet refuses passes without an icon"
                yield error("icon-missing", image_file(kind), "", text)
            continue
        if missing:
            # A phone scales what it finds, but Wallet looks for icon.png itself.
            grave = kind == "icon" and 1 not in made
            say = error if grave else warning
            text = f"is missing in {', '.join(missing)}; publish the template again"
            yield say("density-missing", image_file(kind), "", text)
        for density, png in made.items():
            if fault := _size_fault(box, density, png):
                yield warning("image-size", image_file(kind), "", fault)


def _size_fault(box: Box, density: int, png: bytes) -> str | None:
    with Image.open(BytesIO(png)) as picture:
        across, down = picture.size
    most = box.width * density, box.height * density
    if across > most[0] or down > most[1] or (not box.fit and (across, down) != most):
        return f"is {across}x{down} at @{density}x; Wallet has room for {most[0]}x{most[1]}"
    return None


def _is_transparent(png: bytes) -> bool:
    with Image.open(BytesIO(png)) as picture:
        if not picture.has_transparency_data:
            return False
        alpha = picture.convert("RGBA").getchannel("A").tobytes()
        return min(alpha) < _OPAQUE


def _over_strip(candidate: Candidate) -> list[Finding]:
    """Whether the usual primary field can be read on the strip it stands on."""
    strip, primary = candidate.pictures.get("strip", {}), candidate.description.fields.primary
    if not strip or not primary:
        return []
    (spec, *_) = primary
    described = candidate.description
    picture = _flat(strip[max(strip)], described.colours.background)
    worst: dict[str, Finding] = {}
    for language, texts in described.texts.items():
        value = sample_for(candidate, language, long=False).shown.get(spec.key, "")
        label = texts[spec.label].upper() if spec.label else ""
        for part, text, size, line, colour in (
            ("value", value, PRIMARY.value, _VALUE_LINE, described.colours.foreground),
            ("label", label, PRIMARY.label, _LABEL_LINE, described.colours.label),
        ):
            across = min(width(text, size) * _CERTAIN, ROOM)
            found = _legibility(part, colour, _tiles(picture, across, line)) if across else None
            if found:
                worst.setdefault(part, found)
    return list(worst.values())


def _flat(png: bytes, behind: str) -> Image.Image:
    """A picture as it looks on the colour behind it."""
    with Image.open(BytesIO(png)) as opened:
        if not opened.has_transparency_data:
            return opened.convert("RGB")
        ground = Image.new("RGBA", opened.size, behind)
        return Image.alpha_composite(ground, opened.convert("RGBA")).convert("RGB")


def _tiles(picture: Image.Image, across: float, line: tuple[float, float]) -> list[str]:
    """The strip's colours under a text, from left to right, one per half letter or so."""
    scale = picture.width / KINDS["strip"].width
    box = (_MARGIN * scale, line[0] * scale, (_MARGIN + across) * scale, line[1] * scale)
    count = max(1, round(across / (line[1] - line[0]) * 2))
    row = picture.resize((count, 1), Image.Resampling.BOX, box=box)
    colours = row.tobytes().hex()
    return [f"#{colours[at : at + 6]}" for at in range(0, len(colours), 6)]


def _legibility(part: str, colour: str, tiles: list[str]) -> Finding | None:
    ratios = sorted(contrast(colour, tile) for tile in tiles)
    middle = ratios[len(ratios) // 2]
    if middle < _HARD:
        name = "foreground" if part == "value" else "label"
        text = f"contrast {middle:.1f} with the strip below the primary field, needs {_HARD:.0f}"
        return warning("strip-contrast", LAYOUT, f"colours.{name}", text)
    if ratios[0] < _GONE:
        text = (
            f"a usual {part} runs into a part of the strip where it cannot be read"
            f" (contrast {ratios[0]:.1f}); show something shorter or move the picture to the right"
        )
        return warning("strip-collision", LAYOUT, "fields.primary[0]", text)
    return None
