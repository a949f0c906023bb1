"""Any template that can be published, and any content of its passes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import strategies as st

from walletsvc.passes import placeholders
from walletsvc.passes.placeholders import KNOWN, Kind
from walletsvc.passes.schemas import (
    Align,
    BarcodeFormat,
    Content,
    DateLook,
    Description,
    Style,
)

WORDS: Final = ("one", "two", "three")  # keys of texts; a template with a blank one is refused
_PLACES: Final = {"header": 3, "primary": 1, "secondary": 2, "auxiliary": 2, "back": 14}

letters = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="{}"), min_size=1, max_size=24
)
# Hypothesis wants limits without a zone.
_FIRST, _LAST = (datetime(year, 1, 1) for year in (1990, 2100))  # noqa: DTZ001
moments = st.datetimes(_FIRST, _LAST, timezones=st.just(UTC))


@st.composite
def specs(draw: st.DrawFn, style: Style, key: str) -> dict[str, Any]:
    """One field: a fixed text, a placeholder alone, or a text with one in it."""
    known = KNOWN[style]
    field: dict[str, Any] = {
        "key": key,
        "label": draw(st.none() | st.sampled_from(WORDS)),
        "align": draw(st.sampled_from(Align)),
        "date": draw(st.sampled_from(DateLook)),
    }
    match draw(st.sampled_from(("text", "alone", "alone", "within"))):
        case "text":
            return field | {"text": draw(st.sampled_from(WORDS))}
        case "alone":
            field["value"] = f"{{{draw(st.sampled_from(sorted(known)))}}}"
        case _:
            texts = sorted(
                n for n, k in known.items() if k not in (Kind.MONEY, Kind.DATE, Kind.LINK)
            )
            field["value"] = f"{draw(letters)} {{{draw(st.sampled_from(texts))}}}"
    return field | {"change": draw(st.none() | st.just("changed"))}


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    """A template in one language or both."""
    style = draw(st.sampled_from(Style))
    count, fields = 0, {}
    for place, most in _PLACES.items():
        fields[place] = [
            draw(specs(style, f"f{count + n}")) for n in range(draw(st.integers(0, most)))
        ]
        count += len(fields[place])
    languages = draw(st.sampled_from((["ru", "en"], ["ru"], ["en"])))
    texts = {
        language: {
            **{word: draw(letters.filter(str.strip)) for word in WORDS},
            "changed": f"{draw(letters)} %@",
        }
        for language in languages
    }
    return Description.model_validate(
        {
            "style": style,
            "description": "one",
            "logo_text": draw(st.none() | st.just("two")),
            "colours": {"background": "#123456", "foreground": "#ffffff", "label": "#ffffff"},
            "fields": fields,
            "barcode": {
                "formats": draw(st.lists(st.sampled_from(BarcodeFormat), min_size=1, max_size=3)),
                "message": "x",
            },
            "sharing_prohibited": draw(st.booleans()),
            "texts": texts,
        }
    )


def _values(kind: Kind) -> st.SearchStrategy[Any]:
    match kind:
        case Kind.NUMBER:
            return st.integers(-(10**13), 10**13) | st.integers(-(10**15), 10**15).map(
                lambda minor: minor / 100
            )
        case Kind.MONEY:
            return st.fixed_dictionaries(
                {
                    "amount": st.integers(-(10**15), 10**15),
                    "currency": st.sampled_from(("RUB", "EUR", "JPY")),
                    "scale": st.sampled_from((0, 2, 3)),
                }
            )
        case Kind.DATE:
            return moments
    return letters


@st.composite
def contents(draw: st.DrawFn, description: Description) -> dict[str, Any]:
    """What a pass of the template may say, in its stored form; fields may lack a value."""
    values = {}
    for spec in description.fields.everywhere():
        if spec.value is not None and draw(st.integers(0, 4)):
            values[spec.key] = draw(_values(placeholders.kind(description.style, spec)))
    return Content.model_validate(
        {
            "values": values,
            "barcode": draw(letters | st.just("")),
            "barcode_alt": draw(letters | st.just("")),
            "organisation": draw(letters),
            "voided": draw(st.booleans()),
            "expires_at": draw(st.none() | moments),
        }
    ).as_json()
