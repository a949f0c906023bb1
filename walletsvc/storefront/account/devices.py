"""What a browser calls itself, in two words that its owner knows again."""

from __future__ import annotations

import re
from typing import Final

# The first that fits: browsers name their relatives too.
_BROWSERS: Final = (
    ("YaBrowser", "Yandex"),
    ("SamsungBrowser", "Samsung Internet"),
    ("OPR/", "Opera"),
    ("EdgA?/|EdgiOS", "Edge"),
    ("Firefox|FxiOS", "Firefox"),
    ("Chrom|CriOS", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone|iPod", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X|Macintosh", "Mac"),
    ("Linux|CrOS", "Linux"),
)


def named(user_agent: str) -> str:
    """Such as "Chrome, Android"; empty for one that says nothing."""
    words = (_first(known, user_agent) for known in (_BROWSERS, _SYSTEMS))
    return ", ".join(word for word in words if word)


def _first(known: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for pattern, name in known if re.search(pattern, user_agent)), "")
