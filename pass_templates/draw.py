"""Draws the pictures of the templates; run it after changing a shape or a colour.

    python pass_templates/draw.py

The invented shop is "Северный берег" (Nordshore), a coffee-and-pastry chain: its mark is a cup
with the sun coming up over the rim. Sources are three times the size in points. The wordmark
needs the Manrope typeface (Debian: fonts-manrope) here only; cards carry the finished pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFont

HERE: Final = Path(__file__).parent
FONT: Final = Path("/usr/share/fonts/truetype/manrope/Manrope-Bold.ttf")
SMOOTH: Final = 4  # drawn this much larger, then scaled down: smooth edges

CREAM, AMBER, SAND = "#fff4df", "#ffb64c", "#ffd79a"
SEA: Final = ("#0f3b45", "#14505a", "#1a6169", "#114650", "#0c333c")
BERRY: Final = ("#6f1732", "#8a2343", "#e2405a")
LEAF: Final = ("#3f8a6f", "#5aa886")
PINE: Final = ("#173d33", "#1e4d40", "#27604f", "#b98a5a", "#6d4626")
DUSK: Final = ("#2f2a57", "#3d376d", "#4b4482", "#272247", "#c9506a")

Point = tuple[float, float]


class Sheet:
    """A picture drawn in final pixels on a canvas `SMOOTH` times as large."""

    def __init__(self, width: int, height: int, background: str | None) -> None:
        self.size = width, height
        fill = background or (255, 244, 223, 0)  # transparent cream: no dark fringe when scaled
        self.image = Image.new("RGBA", (width * SMOOTH, height * SMOOTH), fill)
        self.pen = ImageDraw.Draw(self.image)

    def disc(self, x: float, y: float, radius: float, fill: str, alpha: float = 1.0) -> None:
        """A filled circle."""
        box = [SMOOTH * v for v in (x - radius, y - radius, x + radius, y + radius)]
        self._paint(lambda pen: pen.ellipse(box, fill=255), fill, alpha)

    def shape(self, points: Sequence[Point], fill: str, alpha: float = 1.0) -> None:
        """A filled outline."""
        scaled = [(x * SMOOTH, y * SMOOTH) for x, y in points]
        self._paint(lambda pen: pen.polygon(scaled, fill=255), fill, alpha)

    def line(self, points: Sequence[Point], width: float, fill: str, alpha: float = 1.0) -> None:
        """A stroke with round ends."""
        half = width * SMOOTH / 2
        scaled = [(x * SMOOTH, y * SMOOTH) for x, y in points]

        def stroke(pen: ImageDraw.ImageDraw) -> None:
            # A round brush: Pillow's own wide lines leave gaps at the joints of a curve.
            for (x1, y1), (x2, y2) in pairwise(scaled):
                steps = max(1, round(math.dist((x1, y1), (x2, y2))))
                for i in range(steps + 1):
                    x, y = x1 + (x2 - x1) * i / steps, y1 + (y2 - y1) * i / steps
                    pen.ellipse([x - half, y - half, x + half, y + half], fill=255)

        self._paint(stroke, fill, alpha)

    def _paint(
        self, draw: Callable[[ImageDraw.ImageDraw], object], fill: str, alpha: float
    ) -> None:
        mask = Image.new("L", self.image.size, 0)
        draw(ImageDraw.Draw(mask))
        if alpha < 1:
            mask = mask.point(lambda level: round(level * alpha))
        colour = Image.new("RGBA", self.image.size, fill)
        # Over transparent ground the colour itself, not a mix with what is not there.
        self.image = (
            Image.composite(colour, self.image, mask)
            if alpha == 1
            else _over(self.image, colour, mask)
        )

    def cut(self, points: Sequence[Point]) -> None:
        """Make an outline transparent."""
        mask = Image.new("L", self.image.size, 255)
        ImageDraw.Draw(mask).polygon([(x * SMOOTH, y * SMOOTH) for x, y in points], fill=0)
        self.image.putalpha(ImageChops.multiply(self.image.getchannel("A"), mask))

    def text(self, x: float, y: float, words: str, size: float, fill: str) -> None:
        """A line of the wordmark, standing on the baseline `y`."""
        font = ImageFont.truetype(str(FONT), round(size * SMOOTH))
        ImageDraw.Draw(self.image).text((x * SMOOTH, y * SMOOTH), words, fill, font, anchor="ls")

    def save(self, path: Path, *, opaque: bool, colours: int | None = None) -> None:
        """Scale down and write."""
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = self.image.resize(self.size, Image.Resampling.LANCZOS)
        if opaque:
            picture = picture.convert("RGB")
        if colours:
            picture = picture.quantize(colours, dither=Image.Dither.NONE)
        picture.save(path, "PNG", optimize=True)


def _over(under: Image.Image, colour: Image.Image, mask: Image.Image) -> Image.Image:
    layer = colour.copy()
    layer.putalpha(mask)
    return Image.alpha_composite(under, layer)


def arc(x: float, y: float, radius: float, start: float, end: float) -> list[Point]:
    """Points on a circle, degrees clockwise from the right."""
    steps = [math.radians(start + (end - start) * i / 90) for i in range(91)]
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in steps]


def swell(width: int, level: float, height: float, length: float, phase: float) -> list[Point]:
    """The upper edge of a wave across the whole width: two sines, so that no crest repeats."""
    return [
        (
            x,
            level
            + height * math.sin(2 * math.pi * x / length + phase)
            + 0.45 * height * math.sin(2 * math.pi * x / (length * 0.43) + 2.1 * phase),
        )
        for x in range(-6, width + 7, 3)
    ]


def mark(sheet: Sheet, x: float, y: float, radius: float, cup: str, sun: str) -> None:
    """The cup and its sunrise; `x`, `y` is the middle of the rim."""
    handle = arc(x + radius * 0.93, y + radius * 0.40, radius * 0.30, -100, 125)
    sheet.line(handle, radius * 0.15, cup)
    sheet.shape(arc(x, y, radius, 0, 180), cup)
    wave = [
        (x - radius + i * radius / 30, y + radius * (0.42 + 0.09 * math.sin(i * math.pi / 15)))
        for i in range(61)
    ]
    sheet.cut([*wave, *((px, py + radius * 0.13) for px, py in reversed(wave))])
    gap = radius * 0.13
    sheet.shape(arc(x, y - gap, radius * 0.56, 180, 360), sun)
    for angle in (-152, -121, -90, -59, -28):
        dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        near, far = radius * 0.72, radius * (0.93 if angle in (-121, -59) else 0.98)
        sheet.line(
            [(x + dx * near, y - gap + dy * near), (x + dx * far, y - gap + dy * far)],
            radius * 0.1,
            sun,
        )


def logo(path: Path) -> None:
    """Mark and wordmark in cream, for any dark card."""
    sheet = Sheet(480, 150, None)
    mark(sheet, 68, 80, 58, CREAM, AMBER)
    sheet.text(160, 70, "Северный", 58, CREAM)
    sheet.text(160, 128, "берег", 58, CREAM)
    sheet.save(path, opaque=False)


def icon(path: Path, ground: str) -> None:
    """The mark alone: notifications, mail, the lock screen."""
    sheet = Sheet(114, 114, ground)
    # The cut wave would show through the ground: the mark is laid on as a picture of its own.
    top = Sheet(114, 114, None)
    mark(top, 52, 63, 42, CREAM, AMBER)
    sheet.image.alpha_composite(top.image)
    sheet.save(path, opaque=True)


def shore(path: Path) -> None:
    """The loyalty strip: the sun over a northern sea. The left side stays calm for the name."""
    width, height = 1125, 432
    sheet = Sheet(width, height, SEA[0])
    sun_x, sun_y = 872, 262
    for radius, alpha in ((246, 0.06), (206, 0.08), (168, 0.11), (134, 0.16)):
        sheet.disc(sun_x, sun_y, radius, SAND, alpha)
    sheet.disc(sun_x, sun_y, 104, AMBER)
    for gull_x, gull_y, span in ((672, 112, 26), (726, 82, 18), (1036, 104, 22)):
        left = arc(gull_x - span, gull_y + span * 0.55, span * 1.1, -125, -28)
        right = arc(gull_x + span, gull_y + span * 0.55, span * 1.1, -152, -55)
        sheet.line(left, 5, CREAM, 0.9)
        sheet.line(right, 5, CREAM, 0.9)
    layers = (
        (276, 9, 620, 0.4, SEA[2]),
        (312, 12, 700, 2.2, SEA[1]),
        (350, 13, 560, 4.0, SEA[3]),
        (392, 12, 760, 5.6, SEA[4]),
    )
    for level, rise, length, phase, colour in layers:
        edge = swell(width, level, rise, length, phase)
        sheet.shape([*edge, (width + 9, height + 9), (-9, height + 9)], colour)
    for y, half in ((296, 74), (330, 50), (368, 30)):
        glint = [(sun_x + i, y + 3 * math.sin(i / 13)) for i in range(-half, half + 1, 2)]
        sheet.line(glint, 7, AMBER, 0.85)
    sheet.save(path, opaque=True, colours=200)


def sprig(sheet: Sheet, x: float, y: float, turn: float, size: float) -> None:
    """A twig of cranberries growing from a point."""

    def at(along: float, aside: float) -> Point:
        a = math.radians(turn)
        bend = along * along / (900 * size)
        px, py = along, aside + bend
        return x + px * math.cos(a) - py * math.sin(a), y + px * math.sin(a) + py * math.cos(a)

    sheet.line([at(i * size, 0) for i in range(0, 260, 4)], 6 * size, LEAF[0])
    for step, side in ((50, -1), (92, 1), (134, -1), (176, 1), (214, -1), (246, 1)):
        length, broad = 66 * size, 17 * size
        points = []
        for i in range(41):
            t = i / 20 if i <= 20 else (40 - i) / 20
            swing = broad * math.sin(math.pi * t) * (1 if i <= 20 else -1)
            points.append(
                at(
                    step * size + t * length * 0.72 - swing * side * 0.6,
                    side * (t * length * 0.7) + swing * 0.75,
                )
            )
        sheet.shape(points, LEAF[1] if side < 0 else LEAF[0])
    for step, aside, radius in (
        (84, 40, 27),
        (128, -44, 24),
        (172, 46, 25),
        (214, -40, 20),
        (262, 14, 22),
    ):
        stem, berry = at(step * size * 0.86, 0), at(step * size, aside * size)
        sheet.line([stem, berry], 4 * size, LEAF[0])
        sheet.disc(*berry, radius * size, BERRY[2])
        sheet.disc(
            berry[0] - radius * size * 0.3,
            berry[1] - radius * size * 0.34,
            radius * size * 0.26,
            CREAM,
            0.75,
        )


def ribbon(path: Path) -> None:
    """The gift strip: a wrapped parcel, bow to the right, cranberry twigs under the bow."""
    width, height = 1125, 432
    sheet = Sheet(width, height, BERRY[1])
    for row in range(9):
        for column in range(24):
            x, y = column * 48 + (24 if row % 2 else 0) + 6, row * 50 + 16
            sheet.disc(x, y, 4.5, CREAM, 0.10)
    middle, knot = 884, 206
    for turn, size in ((200, 0.92), (-24, 0.92), (148, 0.8), (32, 0.8)):
        sprig(sheet, middle, knot, turn, size)
    for x, wide, colour in ((middle, 62, CREAM), (middle, 38, SAND)):
        sheet.shape(
            [
                (x - wide / 2, -9),
                (x + wide / 2, -9),
                (x + wide / 2, height + 9),
                (x - wide / 2, height + 9),
            ],
            colour,
        )
    for side in (-1, 1):
        tail = [(0, 0), (58, 128), (86, 104), (120, 122), (44, -8)]
        sheet.shape([(middle + side * px, knot + py) for px, py in tail], SAND)
        loop = [bezier(t / 40, [(0, 0), (70, -150), (205, -92), (150, -6)]) for t in range(41)]
        loop += [bezier(t / 40, [(150, -6), (124, 44), (60, 40), (0, 0)]) for t in range(41)]
        sheet.shape([(middle + side * px, knot + py) for px, py in loop], CREAM)
        inner = [bezier(t / 40, [(30, -10), (74, -92), (150, -62), (118, -12)]) for t in range(41)]
        inner += [bezier(t / 40, [(118, -12), (100, 16), (60, 14), (30, -10)]) for t in range(41)]
        sheet.shape([(middle + side * px, knot + py) for px, py in inner], SAND)
    sheet.disc(middle, knot - 4, 35, AMBER)
    sheet.save(path, opaque=True, colours=200)


def bean(sheet: Sheet, x: float, y: float, turn: float, size: float) -> None:
    """A coffee bean: an oval with its fold."""
    a = math.radians(turn)

    def at(px: float, py: float) -> Point:
        return x + px * math.cos(a) - py * math.sin(a), y + px * math.sin(a) + py * math.cos(a)

    oval = [at(px * size, py * size * 0.68) for px, py in arc(0, 0, 1, 0, 360)]
    sheet.shape(oval, PINE[4])
    fold = [
        at(t * size, 0.18 * size * math.sin(t * math.pi)) for t in (i / 20 for i in range(-18, 19))
    ]
    sheet.line(fold, size * 0.12, PINE[3])


def beans(path: Path) -> None:
    """The strip of the stamp card: a steaming cup among beans. The left side stays calm."""
    width, height = 1125, 432
    sheet = Sheet(width, height, PINE[0])
    for radius, alpha in ((300, 0.35), (236, 0.5), (176, 0.7)):
        sheet.disc(872, 214, radius, PINE[1] if radius > 200 else PINE[2], alpha)
    for x, y, turn, size in (
        (664, 384, 20, 40), (738, 404, -50, 34), (1010, 398, 70, 40), (1082, 372, -15, 44),
        (1052, 60, 35, 30), (690, 74, -30, 26), (604, 410, 65, 28), (934, 410, 5, 30),
    ):  # fmt: skip
        bean(sheet, x, y, turn, size)
    cup = Sheet(width, height, None)
    mark(cup, 860, 204, 138, CREAM, AMBER)
    sheet.image.alpha_composite(cup.image)
    sheet.save(path, opaque=True, colours=200)


def lighthouse(path: Path) -> None:
    """The strip of the discount card: a lighthouse at dusk. The left side stays calm."""
    width, height = 1125, 432
    sheet = Sheet(width, height, DUSK[0])
    lamp_x, lamp_y = 884, 108
    for spread, alpha in ((96, 0.10), (58, 0.14)):
        beam = [(lamp_x, lamp_y), (width + 9, lamp_y - spread), (width + 9, lamp_y + spread)]
        sheet.shape(beam, SAND, alpha)
    for radius, alpha in ((92, 0.10), (60, 0.16)):
        sheet.disc(lamp_x, lamp_y, radius, SAND, alpha)
    for x, y, radius in ((604, 60, 3), (668, 128, 4), (742, 48, 3), (1008, 250, 3), (560, 150, 3)):
        sheet.disc(x, y, radius, CREAM, 0.8)
    top, foot = (-34, 138), (-62, 372)
    bands = 5
    for number in range(bands):
        edges = []
        for step in (number, number + 1):
            t = step / bands
            edges.append((top[0] + (foot[0] - top[0]) * t, top[1] + (foot[1] - top[1]) * t))
        (half, y1), (wide, y2) = edges
        fill = CREAM if number % 2 else DUSK[4]
        sheet.shape(
            [(lamp_x + half, y1), (lamp_x - half, y1), (lamp_x - wide, y2), (lamp_x + wide, y2)],
            fill,
        )
    sheet.line([(lamp_x - 48, 138), (lamp_x + 48, 138)], 10, CREAM)
    sheet.shape(
        [(lamp_x - 26, 134), (lamp_x + 26, 134), (lamp_x + 26, 84), (lamp_x - 26, 84)], AMBER
    )
    sheet.shape([(lamp_x - 36, 86), (lamp_x + 36, 86), (lamp_x, 44)], DUSK[4])
    layers = (
        (352, 9, 640, 1.1, DUSK[2]),
        (376, 11, 720, 3.0, DUSK[1]),
        (404, 10, 560, 5.1, DUSK[3]),
    )
    for level, rise, length, phase, colour in layers:
        edge = swell(width, level, rise, length, phase)
        sheet.shape([*edge, (width + 9, height + 9), (-9, height + 9)], colour)
    sheet.save(path, opaque=True, colours=200)


def bezier(t: float, points: Sequence[Point]) -> Point:
    """A point of a cubic curve."""
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    return (
        sum(w * p[0] for w, p in zip(weights, points, strict=True)),
        sum(w * p[1] for w, p in zip(weights, points, strict=True)),
    )


def main() -> None:
    """Draw everything into the template folders."""
    grounds = {"loyalty": SEA[0], "gift": BERRY[0], "stamps": PINE[0], "discount": DUSK[0]}
    for name, ground in grounds.items():
        folder = HERE / name / "images"
        logo(folder / "logo.png")
        icon(folder / "icon.png", ground)
    shore(HERE / "loyalty" / "images" / "strip.png")
    ribbon(HERE / "gift" / "images" / "strip.png")
    beans(HERE / "stamps" / "images" / "strip.png")
    lighthouse(HERE / "discount" / "images" / "strip.png")


if __name__ == "__main__":
    main()
