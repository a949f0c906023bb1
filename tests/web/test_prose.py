"""Plain texts as pages."""

from __future__ import annotations

from walletsvc.web.prose import html


def test_paragraphs_headings_and_lists() -> None:
    """What a blank line, a hash and a hyphen make."""
    assert html("# A\none\ntwo\n\n- x\n- y\nafter\n \n# B", "h3").splitlines() == [
        "<h3>A</h3>",
        "<p>one<br>two</p>",
        "<ul><li>x</li><li>y</li></ul>",
        "<p>after</p>",
        "<h3>B</h3>",
    ]
    assert html("") == ""


def test_markup_is_text() -> None:
    """Wherever it stands."""
    for text in ("<b>&", "# <b>&", "- <b>&"):
        assert "&lt;b&gt;&amp;" in html(text)
        assert "<b>" not in html(text)
