"""Do the texts fit? An estimate of what a store card shows on phones of usual and small width.

Apple publishes no font sizes. Those here are what cards look like at the default text size,
and every text is granted the shrinking that Wallet does before it cuts: what is reported here
does not fit, what is not reported fits nearly always. Figures are held to their longest; of
names the usual ones must fit, and long ones are worth a note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final, NamedTuple

from PIL import Image

from walletsvc.passes.findings import LAYOUT, Finding, note, texts_file, warning
from walletsvc.passes.protocol import Candidate
from walletsvc.passes.samples import Sample
from walletsvc.passes.schemas import PLACEHOLDER, FieldSpec
from walletsvc.passes.typography import width

# The card between its margins, in points: screens of 375 points, and of 320.
ROOM: Final = 345.0
NARROW_ROOM: Final = 290.0
NARROW: Final = "screens 320 points wide: iPhone SE of 2016, Display Zoom"
GAP: Final = 8.0

# Placeholders that hold what people are called: as long as they like.
_NAMES: Final = frozenset({"holder_name", "first_name", "recipient_name"})
_LABEL_LEAST: Final = 0.9  # labels shrink less than values do
_LOGO_TEXT_SIZE: Final = 16.0
_LOGO_TEXT_LEAST: Final = 0.75
_ALT_SIZE: Final = 12.0
_ALT_ROOM: Final = 250.0


@dataclass(frozen=True)
class Type:
    """Font sizes in points of a place, and how far Wallet shrinks a value before it cuts."""

    label: float
    value: float
    least: float


HEADER: Final = Type(11, 18, 0.75)
PRIMARY: Final = Type(14, 40, 0.5)
ROW: Final = Type(11, 16, 0.75)


class _Line(NamedTuple):
    """Fields that share a line: the key to name it by, and how large they are set."""

    key: str
    fields: Sequence[FieldSpec]
    type: Type
    taken: float  # of the room, by the logo


def findings(candidate: Candidate) -> list[Finding]:
    """Texts that would be cut off."""
    fields = candidate.description.fields
    logo = logo_width(candidate.pictures)
    lines = [
        _Line("fields.header", fields.header, HEADER, logo + GAP),
        _Line("fields.primary", fields.primary, PRIMARY, 0),
        # A store card sets both in one row.
        _Line(
            "fields.secondary" if fields.secondary else "fields.auxiliary",
            [*fields.secondary, *fields.auxiliary],
            ROW,
            0,
        ),
    ]
    found = [finding for line in lines if line.fields for finding in _line(candidate, line)]
    return [*found, *_logo_text(candidate, logo), *_alt(candidate)]


def logo_width(pictures: Mapping[str, Mapping[int, bytes]]) -> float:
    """The width of the logo in points; 0 without one."""
    made = pictures.get("logo", {})
    if not made:
        return 0
    density = max(made)
    with Image.open(BytesIO(made[density])) as picture:
        return picture.width / density


def _line(candidate: Candidate, line: _Line) -> list[Finding]:
    needs = {
        language: _needed(candidate, language, line, names=False)
        for language in candidate.description.texts
    }
    worst = max(needs, key=lambda language: needs[language])
    need, room = needs[worst], ROOM - line.taken
    columns = _columns(candidate, worst, line, names=False)
    widest = line.fields[columns.index(max(columns))].key
    text = (
        f"needs about {need:.0f} points in '{worst}' and gets {{room:.0f}}, so that texts are cut"
        f" (the widest is '{widest}'); shorten labels and texts, or move a field to the back"
    )
    code = "header-crowded" if line.type is HEADER else "text-cut"
    if need > room:
        return [warning(code, LAYOUT, line.key, text.format(room=room))]
    if need > room - (ROOM - NARROW_ROOM):
        text = text.format(room=room - (ROOM - NARROW_ROOM))
        return [note(code, LAYOUT, line.key, text, NARROW)]
    named = {
        language: _needed(candidate, language, line, names=True)
        for language in candidate.description.texts
    }
    if max(named.values()) > room:
        text = "names that are longer than usual are cut"
        return [note("name-cut", LAYOUT, line.key, text)]
    return []


def _needed(candidate: Candidate, language: str, line: _Line, *, names: bool) -> float:
    """The least room a line takes. `names`: also names as long as they get."""
    columns = _columns(candidate, language, line, names=names)
    return sum(columns) + GAP * (len(columns) - 1)


def _columns(candidate: Candidate, language: str, line: _Line, *, names: bool) -> list[float]:
    """The least width of each field of a line."""
    texts = candidate.description.texts[language]
    columns = []
    for spec in line.fields:
        sample = sample_for(candidate, language, long=names or not _holds_name(spec))
        value = width(sample.shown.get(spec.key, ""), line.type.value)
        # Labels are set in capitals.
        label = width(texts[spec.label].upper(), line.type.label) if spec.label else 0.0
        columns.append(max(label * _LABEL_LEAST, value * line.type.least))
    return columns


def _holds_name(spec: FieldSpec) -> bool:
    return not _NAMES.isdisjoint(PLACEHOLDER.findall(spec.value or ""))


def sample_for(candidate: Candidate, language: str, *, long: bool) -> Sample:
    """The imagined pass of that language and length."""
    return next(s for s in candidate.samples if (s.language, s.long) == (language, long))


def _logo_text(candidate: Candidate, logo: float) -> list[Finding]:
    described = candidate.description
    if described.logo_text is None:
        return []
    found = []
    for language, texts in described.texts.items():
        line = _Line("", described.fields.header, HEADER, 0)
        header = _needed(candidate, language, line, names=False) if line.fields else 0
        room = ROOM - logo - header - 2 * GAP
        need = width(texts[described.logo_text], _LOGO_TEXT_SIZE) * _LOGO_TEXT_LEAST
        if need > room:
            text = (
                f"needs about {need:.0f} points beside logo and header fields and gets"
                f" {max(room, 0):.0f}; shorten it, or leave logo_text out"
            )
            found.append(warning("logo-text-cut", texts_file(language), described.logo_text, text))
    return found


def _alt(candidate: Candidate) -> list[Finding]:
    need = max(
        width(str(sample.content.get("barcode_alt", "")), _ALT_SIZE) for sample in candidate.samples
    )
    if need <= _ALT_ROOM:
        return []
    text = f"needs about {need:.0f} points below the code and gets {_ALT_ROOM:.0f}"
    return [warning("alt-cut", LAYOUT, "barcode.alt", text)]
