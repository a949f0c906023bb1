"""Sources and the densities made from them."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image, PngImagePlugin

from tests.passes.shop import TEMPLATES
from walletsvc.passes import images


def picture(width: int, height: int, kind: str = "PNG", mode: str = "RGBA") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height), 128 if mode in "LP" else (10, 90, 200)).save(out, kind)
    return out.getvalue()


def noise(width: int, height: int) -> bytes:
    out = io.BytesIO()
    pixels = random.Random(7).randbytes(width * height * 3)
    Image.frombytes("RGB", (width, height), pixels).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("icon", picture(114, 113), "must be 114x114"),
        ("icon", picture(38, 38), "must be 114x114"),
        ("strip", picture(375, 144), "must be 1125x432"),
        ("strip", picture(1125, 432, "JPEG", "RGB"), "JPEG picture, not a PNG"),
        ("strip", picture(1125, 432)[:60], "damaged"),
        ("strip", noise(1125, 432), "travel in every pass"),
        ("logo", picture(481, 150), "must fit into 480x150"),
        ("logo", picture(150, 151), "must fit into 480x150"),
        ("logo", picture(160, 50), "too small for 3x"),
        ("logo", b"<svg/>", "not a picture"),
        ("icon", b"", "not a picture"),
    ],
)
def test_a_bad_source_is_described(kind: str, data: bytes, words: str) -> None:
    """The owner of a shop learns what to change."""
    (found,) = images.faults(kind, data)
    assert words in found


@pytest.mark.parametrize(
    ("kind", "size"),
    [("icon", (114, 114)), ("strip", (1125, 432)), ("logo", (480, 90)), ("logo", (150, 150))],
)
def test_a_source_at_three_times_the_size_is_good(kind: str, size: tuple[int, int]) -> None:
    """A logo may be shorter on one side than its box, the others may not."""
    assert images.faults(kind, picture(*size)) == []


def test_densities_have_their_sizes() -> None:
    """Phones pick the density of their screen."""
    made = images.densities(picture(1125, 432))
    sizes = {density: Image.open(io.BytesIO(png)).size for density, png in made.items()}
    assert sizes == {1: (375, 144), 2: (750, 288), 3: (1125, 432)}


def test_densities_are_the_same_every_time_and_carry_no_metadata() -> None:
    """A pass that did not change must not look as if it did; nor tell who drew it."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "somebody")
    out = io.BytesIO()
    Image.new("RGB", (114, 114), "red").save(out, "PNG", pnginfo=info)
    made = images.densities(out.getvalue())
    assert made == images.densities(out.getvalue())
    for png in made.values():
        assert b"somebody" not in png


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_becomes_plain_colour(mode: str) -> None:
    """Wallets are picky; sources may be palettes or greys."""
    out = io.BytesIO()
    Image.new(mode, (114, 114)).save(out, "PNG")
    for png in images.densities(out.getvalue()).values():
        assert Image.open(io.BytesIO(png)).mode in ("RGB", "RGBA")


def test_transparency_survives() -> None:
    """A logo lies on the card's colour."""
    made = images.densities((TEMPLATES / "loyalty/images/logo.png").read_bytes())
    for png in made.values():
        corner = Image.open(io.BytesIO(png)).getpixel((0, 0))
        assert isinstance(corner, tuple)
        assert corner[3] == 0
