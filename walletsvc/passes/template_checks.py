"""Checks across the parts of a template that a schema cannot make or cannot word well.

They read the raw tables leniently: what is malformed is the schema's to report, and one
mistake must not hide the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from walletsvc.passes import placeholders
from walletsvc.passes.schemas import PLACEHOLDER, Style

_PLACES: Final = ("header", "primary", "secondary", "auxiliary", "back")
_COLOUR: Final = re.compile(r"#[0-9a-f]{6}")
# WCAG 2.2, 1.4.3: 4.5 for text, 3 for large text; Wallet sets labels small but in capitals.
_CONTRAST: Final = {"foreground": 4.5, "label": 3.0}


def layout_faults(layout: dict[str, Any]) -> list[str]:
    """What is wrong within template.toml, each line starting with the key."""
    found = [*_field_faults(layout), *_contrast_faults(layout.get("colours"))]
    rows = [path for path, _ in _specs(layout) if re.match(r"fields\.(secondary|auxiliary)", path)]
    if len(rows) > 4:
        found.append("fields: Wallet shows at most 4 secondary and auxiliary fields together")
    style, barcode = _style(layout), layout.get("barcode")
    if style and isinstance(barcode, dict):
        for key in ("message", "alt"):
            value = barcode.get(key)
            if isinstance(value, str):
                found += [f"barcode.{key}: {text}" for text in placeholders.faults(style, value)]
        message = barcode.get("message")
        if isinstance(message, str) and not PLACEHOLDER.search(message):
            found.append("barcode.message: holds no placeholder, so all cards would be one card")
    return found


def text_faults(layout: dict[str, Any], texts: dict[str, str]) -> list[str]:
    """What is wrong with the texts of one language, each line starting with the key."""
    found = []
    used = list(_text_names(layout))
    for name, where in used:
        if name not in texts:
            found.append(f"{name}: is missing ({where} uses it)")
        elif where.endswith(".change") and "%@" not in texts[name]:
            found.append(f"{name}: announces a change and needs %@ where the new value goes")
    names = {name for name, _ in used}
    for name, text in texts.items():
        if name not in names:
            found.append(f"{name}: nothing in template.toml uses it")
        if PLACEHOLDER.search(text):
            found.append(f"{name}: is a fixed text; placeholders belong into a field's 'value'")
        if not text.strip():
            found.append(f"{name}: is empty")
    return found


def _style(layout: dict[str, Any]) -> Style | None:
    style = layout.get("style")
    return Style(style) if style in list(Style) else None


def _specs(layout: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    fields = layout.get("fields")
    for place in _PLACES:
        listed = fields.get(place) if isinstance(fields, dict) else None
        for index, spec in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(spec, dict):
                yield f"fields.{place}[{index}]", spec


def _text_names(layout: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every reference to a text: its name, and where it stands."""
    sources: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
        ("", layout, ("description", "logo_text")),
        *((f"{path}.", spec, ("label", "text", "change")) for path, spec in _specs(layout)),
    ]
    for path, table, keys in sources:
        for key in keys:
            if isinstance(table.get(key), str):
                yield table[key], f"{path}{key}"


def _field_faults(layout: dict[str, Any]) -> list[str]:
    found, style, seen = [], _style(layout), set()
    for path, spec in _specs(layout):
        key, value = spec.get("key"), spec.get("value")
        if key in seen:
            found.append(f"{path}.key: '{key}' is used twice")
        if isinstance(key, str):
            seen.add(key)
        if style and isinstance(value, str):
            found += [f"{path}.value: {text}" for text in placeholders.faults(style, value)]
    return found


def _contrast_faults(colours: object) -> list[str]:
    if not isinstance(colours, dict):
        return []
    good = {k: v for k, v in colours.items() if isinstance(v, str) and _COLOUR.fullmatch(v)}
    if "background" not in good:
        return []
    found = []
    for name, least in _CONTRAST.items():
        if name in good and (ratio := contrast(good["background"], good[name])) < least:
            found.append(f"colours.{name}: contrast {ratio:.1f} with the background, needs {least}")
    return found


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two `#rrggbb` colours (WCAG 2.2), 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
