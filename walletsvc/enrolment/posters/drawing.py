"""A poster as a PDF: the card's own colours, a large code, three steps, the address in letters."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import segno
from PIL import Image

if TYPE_CHECKING:
    from fpdf import FPDF

_FONTS: Final = Path(__file__).parent / "fonts"
_QUIET: Final = 4  # modules of white that scanners need around a code
_INK: Final = "#16181a"
_SOFT: Final = "#5c6166"


class Size(enum.StrEnum):
    """Paper sizes, upright."""

    A4 = "a4"
    A5 = "a5"
    A6 = "a6"


_MILLIMETRES: Final = {Size.A4: (210.0, 297.0), Size.A5: (148.0, 210.0), Size.A6: (105.0, 148.0)}


@dataclass(frozen=True)
class Poster:
    """Everything a poster says. `address` is what the code holds, `shown` the same for people."""

    language: str
    organisation: str
    headline: str
    card: str
    steps: Sequence[str]
    link: str
    fine: str
    address: str
    shown: str
    background: str = "#102030"
    foreground: str = "#ffffff"
    logo: bytes | None = None


def draw(poster: Poster, size: Size, now: datetime) -> bytes:
    """The poster on one page of this size."""
    from fpdf import FPDF  # slow to import, and hardly any process draws posters

    width, height = _MILLIMETRES[size]
    pdf = FPDF(unit="mm", format=(width, height))
    pdf.set_creation_date(now)
    pdf.set_title(f"{poster.card} · {poster.organisation}")
    pdf.set_lang(poster.language)
    pdf.set_auto_page_break(False)
    pdf.set_margin(0)
    pdf.add_font("poster", "", _FONTS / "Roboto-Medium.ttf")
    pdf.add_font("poster", "B", _FONTS / "Roboto-Black.ttf")
    pdf.add_page()
    page = _Page(pdf, width, height)
    page.band(poster)
    page.code(poster)
    page.steps(poster)
    page.foot(poster)
    return bytes(pdf.output())


@dataclass(frozen=True)
class _Page:
    """A page whose measures are parts of its width, so that every size looks the same."""

    pdf: FPDF
    width: float
    height: float

    @property
    def _edge(self) -> float:
        return self.width * 0.085

    @property
    def _inner(self) -> float:
        return self.width - 2 * self._edge

    @property
    def _code_top(self) -> float:
        return self.width * 0.46

    @property
    def _code_side(self) -> float:
        return self.width * 0.475

    def band(self, poster: Poster) -> None:
        """The coloured part on top: whose card, and that it is on the phone."""
        self.pdf.set_fill_color(poster.background)
        self.pdf.rect(0, 0, self.width, self._code_top + self._code_side * 0.5, style="F")
        top = self._edge * 0.85
        self._logo_or_name(poster, top)
        self.pdf.set_text_color(poster.foreground)
        y = top + self.width * 0.125
        y = self._lines(poster.headline, y, self.width * 0.088, "B", lines=2)
        self._lines(poster.card, y + self.width * 0.012, self.width * 0.04, "", lines=1)

    def code(self, poster: Poster) -> None:
        """The code on a white panel that lies over the band's lower edge."""
        side, x = self._code_side, (self.width - self._code_side) / 2
        y = self._code_top
        line = self.width * 0.004
        self.pdf.set_draw_color(poster.background)
        self.pdf.set_line_width(line)
        self.pdf.set_fill_color("#ffffff")
        self.pdf.rect(x, y, side, side, style="DF", round_corners=True, corner_radius=side * 0.06)
        rows = [bytes(row) for row in segno.make_qr(poster.address, error="q").matrix]
        module = side / (len(rows) + 2 * _QUIET)
        self.pdf.set_fill_color("#000000")
        for down, row in enumerate(rows):
            for start, length in _runs(row):
                left, up = x + (start + _QUIET) * module, y + (down + _QUIET) * module
                # A hair larger than its place: viewers draw light seams between touching areas.
                self.pdf.rect(left, up, length * module + 0.02, module + 0.02, style="F")

    def steps(self, poster: Poster) -> None:
        """Three steps, numbered."""
        top = self._code_top + self._code_side + self.width * 0.042
        pitch = self.width * 0.0765
        size = self._fitting(poster.steps, self.width * 0.043, self._inner - self.width * 0.09)
        for number, step in enumerate(poster.steps, start=1):
            y = top + (number - 1) * pitch
            disc = self.width * 0.06
            self.pdf.set_fill_color(poster.background)
            self.pdf.ellipse(self._edge, y, disc, disc, style="F")
            self._text(str(number), self._edge, y, disc, disc, self.width * 0.032, "B",
                       poster.foreground, "C")  # fmt: skip
            left = self._edge + self.width * 0.09
            self._text(step, left, y, self._inner - self.width * 0.09, disc, size, "", _INK)

    def foot(self, poster: Poster) -> None:
        """The address for whoever has no camera at hand, and what it costs."""
        top = self.height - self.width * 0.175
        self.pdf.set_draw_color("#d9dcdf")
        self.pdf.set_line_width(self.width * 0.002)
        self.pdf.line(self._edge, top, self.width - self._edge, top)
        whole = [poster.shown]
        size = self._fitting(whole, self.width * 0.05, self._inner, "B")
        y = top + self.width * 0.02
        self._text(poster.link, self._edge, y, self._inner, self.width * 0.03,
                   self.width * 0.026, "", _SOFT)  # fmt: skip
        self._text(poster.shown, self._edge, y + self.width * 0.032, self._inner,
                   self.width * 0.055, size, "B", _INK)  # fmt: skip
        fine = self._fitting([poster.fine], self.width * 0.026, self._inner)
        self._text(poster.fine, self._edge, y + self.width * 0.095, self._inner,
                   self.width * 0.03, fine, "", _SOFT)  # fmt: skip

    def _logo_or_name(self, poster: Poster, top: float) -> None:
        height = self.width * 0.085
        if poster.logo is None:
            size = self._fitting([poster.organisation], self.width * 0.045, self._inner, "B")
            self._text(poster.organisation, self._edge, top, self._inner, height, size, "B",
                       poster.foreground)  # fmt: skip
            return
        with Image.open(BytesIO(poster.logo)) as picture:
            across, down = picture.size
        scale = min(height / down, self._inner * 0.6 / across)
        self.pdf.image(BytesIO(poster.logo), self._edge, top, across * scale, down * scale,
                       alt_text=poster.organisation)  # fmt: skip

    def _lines(self, text: str, y: float, size: float, style: str, lines: int) -> float:
        """Text broken over up to so many lines, smaller where it needs more; the end's place."""
        while True:
            self._font(size, style)
            found = self._broken(text, size)
            if found <= lines:
                break
            size *= 0.94
        self.pdf.set_xy(self._edge, y)
        self.pdf.multi_cell(self._inner, size * 1.12, text, align="L", padding=0)
        return y + found * size * 1.12

    def _broken(self, text: str, size: float) -> int:
        """Over how many lines the text goes in the present font."""
        found = self.pdf.multi_cell(
            self._inner, size * 1.12, text, align="L", dry_run=True, output="LINES", padding=0
        )
        return len(found) if isinstance(found, list) else 1

    def _text(
        self, text: str, x: float, y: float, width: float, height: float, size: float,
        style: str, colour: str, align: str = "L",
    ) -> None:  # fmt: skip
        self._font(size, style)
        self.pdf.set_text_color(colour)
        self.pdf.set_xy(x, y)
        self.pdf.cell(width, height, text, align=align)

    def _fitting(self, texts: Sequence[str], size: float, width: float, style: str = "") -> float:
        """The size, or as much less as the widest of the texts needs."""
        self._font(size, style)
        widest = max(self.pdf.get_string_width(text) for text in texts)
        return size * min(1.0, width / widest) if widest else size

    def _font(self, size: float, style: str) -> None:
        self.pdf.set_font("poster", style, size * 72 / 25.4)
        self.pdf.c_margin = 0


def _runs(row: bytes) -> list[tuple[int, int]]:
    """Where dark modules lie side by side: start and length."""
    found: list[tuple[int, int]] = []
    for at, dark in enumerate(row):
        if not dark:
            continue
        if found and sum(found[-1]) == at:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((at, 1))
    return found
