"""Widths of texts: near enough to a real typeface, and never nonsense."""

from __future__ import annotations

import pytest
from PIL import ImageFont

from walletsvc.passes.typography import width


@pytest.mark.parametrize(
    ("text", "arial"),
    [
        ("Hamburgefonstiv", 7558),  # the sums of the advance widths in Arial's tables
        ("Съешь же", 4729),
        ("1234567890", 5560),
        ("漢字", 2000),
        ("", 0),
        ("\u200b\u0301", 0),
    ],
)
def test_a_text_is_a_little_wider_than_in_arial(text: str, arial: float) -> None:
    """Latin, Cyrillic, figures, ideographs, and marks that take no room."""
    assert arial <= width(text, 1000) <= arial * 1.1


def test_a_text_is_about_as_wide_as_in_another_typeface() -> None:
    """Pillow brings one with Latin letters: a check that the tables are not nonsense."""
    font = ImageFont.load_default(100)
    for text in ("Points on your card", "Valid until", "RUB 1,000,000.00", "WARNING", "illicit"):
        assert width(text, 100) == pytest.approx(font.getlength(text), rel=0.2), text


def test_width_grows_with_size_and_letters() -> None:
    """In proportion to both."""
    assert width("Баллы", 22) == pytest.approx(2 * width("Баллы", 11))
    assert width("ж" * 10, 10) == pytest.approx(10 * width("ж", 10))


def test_a_broad_alphabet_is_no_narrower_than_it_should_be() -> None:
    """Every letter of both languages has a width of its own."""
    for letters, narrow, broad in (
        ("абвгдеёжзийклмнопрстуфхцчшщъыьэюя", 0.35, 0.9),
        ("АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ", 0.5, 1.1),
        ("abcdefghijklmnopqrstuvwxyz", 0.2, 0.9),
    ):
        for letter in letters:
            assert narrow < width(letter, 1) < broad, letter
