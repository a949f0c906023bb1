"""Plain texts that shops write, as pages: paragraphs, headings and lists, and nothing else.

A blank line ends a paragraph; a line that begins with `# ` is a heading; lines that begin with
`- ` are a list. Everything is escaped: a text can hold no markup of its own.
"""

from __future__ import annotations

import re
from typing import Final

from markupsafe import Markup, escape

_BLANK: Final = re.compile(r"\n\s*\n")


def html(text: str, heading: str = "h2") -> Markup:
    """The text as HTML; headings become elements of this name."""
    return Markup("\n").join(
        part for block in _BLANK.split(text.strip()) for part in _block(block, heading)
    )


def _block(block: str, heading: str) -> list[Markup]:
    """One stretch between blank lines; a heading may stand right above its paragraph."""
    made: list[Markup] = []
    plain: list[str] = []
    items: list[str] = []

    def close() -> None:
        if plain:
            made.append(Markup("<p>{}</p>").format(Markup("<br>").join(map(escape, plain))))
        if items:
            inner = Markup("").join(Markup("<li>{}</li>").format(item) for item in items)
            made.append(Markup("<ul>{}</ul>").format(inner))
        plain.clear()
        items.clear()

    for line in block.splitlines():
        if line.startswith("# "):
            close()
            # `heading` is ours, the text is escaped by `format`.
            frame = Markup(f"<{heading}>{{}}</{heading}>")  # noqa: S704
            made.append(frame.format(line[2:].strip()))
        elif line.startswith("- "):
            if plain:
                close()
            items.append(line[2:].strip())
        else:
            if items:
                close()
            plain.append(line.strip())
    close()
    return made
