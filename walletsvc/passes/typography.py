"""How wide a text is on a phone, near enough to say that it cannot fit.

The phones' own typeface may not be shipped, so widths are those of Arial, in thousandths of
the font size, with a twentieth added: San Francisco runs a little wider. A letter that is not
in the tables counts as a broad one.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_WIDER: Final = 1.05
_BROAD: Final = 667
_FULL: Final = 1000  # ideographs, emoji

# Advance widths of Arial Regular, by width: Latin and signs, then Cyrillic.
_BY_WIDTH: Final = {
    191: "'",
    222: "ijl",
    278: " \u00a0\u202f!,./:;I[\\]ft·",
    333: "()-`r",
    334: "{}",
    355: '"',
    260: "|",
    365: "г°",
    389: "*",
    438: "к",
    458: "зт",
    469: "^",
    500: "cksvxyzJсух",
    510: "э",
    521: "чь",
    531: "в",
    542: "Гпя",
    552: "н",
    556: "#$?0123456789L_abdeghnopqu«»–€аейиоёр",
    573: "бц",
    583: "Кдл",
    584: "+<=>~",
    600: "₽",
    604: "З",
    611: "FTZТ",
    625: "ъ",
    635: "У",
    656: "БЛЬ",
    667: "&ABEKPSVXYАВЕЁРХЧ",
    669: "ж",
    677: "Д",
    688: "м",
    719: "ИЙПЭы",
    722: "CDHNRUwНСЯ",
    740: "Ц",
    750: "ю",
    760: "Ф",
    778: "GOQО",
    792: "Ъ",
    802: "ш",
    823: "фщ",
    833: "MmМ",
    885: "Ы",
    889: "%",
    917: "Ш",
    923: "Ж",
    938: "Щ",
    944: "W",
    1000: "—…",
    1010: "Ю",
    1015: "@",
    1073: "№",
}
_WIDTHS: Final = {letter: width for width, letters in _BY_WIDTH.items() for letter in letters}


def width(text: str, size: float) -> float:
    """How many points wide a line of text is at a font size in points."""
    return sum(map(_advance, text)) / 1000 * size * _WIDER


def _advance(letter: str) -> int:
    known = _WIDTHS.get(letter)
    if known is not None:
        return known
    if unicodedata.category(letter) in ("Mn", "Me", "Cf", "Cc"):
        return 0  # accents, joiners and other marks take no room of their own
    if unicodedata.east_asian_width(letter) in ("W", "F"):
        return _FULL
    return _BROAD
