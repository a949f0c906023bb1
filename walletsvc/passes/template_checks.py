"""Checks across the parts of a template that a schema cannot make or cannot word well.

They read the raw tables leniently: what is malformed is the schema's to report, and one
mistake must not hide the others. The limits of a particular wallet are its dialect's to check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from walletsvc.passes import placeholders
from walletsvc.passes.findings import LAYOUT, Finding, error, note, texts_file, warning
from walletsvc.passes.schemas import PLACEHOLDER, Style

# What the new value is put in place of, when a change is announced.
VALUE: Final = "%@"

_PLACES: Final = ("header", "primary", "secondary", "auxiliary", "back")
_COLOUR: Final = re.compile(r"#[0-9a-f]{6}")
# WCAG 2.2, 1.4.3: 4.5 for text, 3 for large text; Wallet sets labels small but in capitals.
_CONTRAST: Final = {"foreground": 4.5, "label": 3.0}
# Words of advertising. A change message tells of a change; Apple's guidelines forbid selling in it.
_SELLING: Final = re.compile(
    r"скидк|распродаж|акци[яи]|купи|успей|только сегодня|подар(?:ок|ки)!|!{2,}"
    r"|\bsale\b|discount|buy now|\boffer|only today|hurry|limited time|% off",
    re.IGNORECASE,
)
# What counts as the balance: a card shows what its programme counts.
BALANCES: Final = {
    Style.LOYALTY: frozenset({"points", "stamps", "discount"}),
    Style.GIFT: frozenset({"balance"}),
}


def layout_findings(layout: Mapping[str, Any]) -> list[Finding]:
    """What is wrong within template.toml."""
    style = _style(layout)
    found = [*_field_findings(layout, style), *_contrast_findings(layout.get("colours"))]
    rows = [path for path, _ in _specs(layout) if re.match(r"fields\.(secondary|auxiliary)", path)]
    if len(rows) > 4:
        text = "Wallet shows at most 4 secondary and auxiliary fields together"
        found.append(error("hidden-fields", LAYOUT, "fields", text))
    for table in ("barcode", "nfc"):
        found += _machine_findings(table, layout.get(table), style)
    if style:
        found += _balance_findings(layout, style)
    return found


def text_findings(
    layout: Mapping[str, Any], language: str, texts: Mapping[str, str]
) -> list[Finding]:
    """What is wrong with the texts of one language."""
    file = texts_file(language)
    found = []
    used = list(_text_names(layout))
    for name, where in used:
        if name not in texts:
            found.append(error("text-missing", file, name, f"is missing ({where} uses it)"))
        elif where.endswith(".change"):
            found += _change_findings(file, name, texts[name])
    names = {name for name, _ in used}
    for name, text in texts.items():
        if name not in names:
            found.append(error("text-unused", file, name, "nothing in template.toml uses it"))
        if PLACEHOLDER.search(text):
            message = "is a fixed text; placeholders belong into a field's 'value'"
            found.append(error("text-placeholder", file, name, message))
        if not text.strip():
            found.append(error("text-empty", file, name, "is empty"))
    return found


def language_findings(texts: Mapping[str, Mapping[str, str]]) -> list[Finding]:
    """Texts that say the same in two languages, as if nobody had translated them."""
    found = []
    languages = list(texts)
    first = languages[0] if languages else ""
    for language in languages[1:]:
        for name, text in texts[language].items():
            # Names and numbers stay as they are; a sentence does not.
            if text == texts[first].get(name) and re.search(r"[^\W\d_]", text):
                message = f"is the same in '{first}'; translate it, if it is not a name"
                found.append(note("untranslated", texts_file(language), name, message))
    return found


def _style(layout: Mapping[str, Any]) -> Style | None:
    style = layout.get("style")
    return Style(style) if style in list(Style) else None


def _specs(layout: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    fields = layout.get("fields")
    for place in _PLACES:
        listed = fields.get(place) if isinstance(fields, dict) else None
        for index, spec in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(spec, dict):
                yield f"fields.{place}[{index}]", spec


def _text_names(layout: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every reference to a text: its name, and where it stands."""
    sources: list[tuple[str, Mapping[str, Any], tuple[str, ...]]] = [
        ("", layout, ("description", "logo_text")),
        *((f"{path}.", spec, ("label", "text", "change")) for path, spec in _specs(layout)),
    ]
    for path, table, keys in sources:
        for key in keys:
            if isinstance(table.get(key), str):
                yield table[key], f"{path}{key}"


def _field_findings(layout: Mapping[str, Any], style: Style | None) -> list[Finding]:
    found, seen = [], set()
    for path, spec in _specs(layout):
        key, value = spec.get("key"), spec.get("value")
        if key in seen:
            found.append(error("key-twice", LAYOUT, f"{path}.key", f"'{key}' is used twice"))
        if isinstance(key, str):
            seen.add(key)
        if style and isinstance(value, str):
            found += _placeholder_findings(f"{path}.value", style, value)
            if value == "{terms_url}" and not path.startswith("fields.back"):
                text = "{terms_url} may stand on the back only: a face has nothing to tap"
                found.append(error("placeholder", LAYOUT, f"{path}.value", text))
    return found


def _placeholder_findings(path: str, style: Style, value: str) -> list[Finding]:
    return [error("placeholder", LAYOUT, path, text) for text in placeholders.faults(style, value)]


def _machine_findings(name: str, table: object, style: Style | None) -> list[Finding]:
    """What scanners and terminals read: it must tell one card from another."""
    if not isinstance(table, dict) or style is None:
        return []
    found = []
    for key in ("message", "alt"):
        value = table.get(key)
        if isinstance(value, str):
            found += _placeholder_findings(f"{name}.{key}", style, value)
    message = table.get("message")
    if isinstance(message, str) and not PLACEHOLDER.search(message):
        text = "holds no placeholder, so all cards would be one card"
        found.append(error("same-for-all", LAYOUT, f"{name}.message", text))
    return found


def _change_findings(file: str, name: str, text: str) -> list[Finding]:
    found = []
    count = text.count(VALUE)
    if count == 0:
        message = "announces a change and needs %@ where the new value goes"
        found.append(error("change-value", file, name, message))
    elif count > 1:
        message = f"holds %@ {count} times; the new value goes into one place"
        found.append(error("change-value", file, name, message))
    if _SELLING.search(text):
        message = "reads like an advertisement; say what changed, phones show it unasked"
        found.append(note("change-selling", file, name, message))
    return found


def _balance_findings(layout: Mapping[str, Any], style: Style) -> list[Finding]:
    balances = BALANCES[style]
    shown = [
        (path, spec)
        for path, spec in _specs(layout)
        if isinstance(spec.get("value"), str) and balances & {*PLACEHOLDER.findall(spec["value"])}
    ]
    if not shown:
        names = " or ".join(f"{{{name}}}" for name in sorted(balances))
        text = f"no field shows {names}: the card does not say what is on it"
        return [warning("balance-missing", LAYOUT, "fields", text)]
    if not any(spec.get("change") for _, spec in shown):
        text = "has no 'change' text, so the phone stays silent when the balance changes"
        return [warning("balance-silent", LAYOUT, shown[0][0], text)]
    return []


def _contrast_findings(colours: object) -> list[Finding]:
    if not isinstance(colours, dict):
        return []
    good = {k: v for k, v in colours.items() if isinstance(v, str) and _COLOUR.fullmatch(v)}
    if "background" not in good:
        return []
    found = []
    for name, least in _CONTRAST.items():
        if name in good and (ratio := contrast(good["background"], good[name])) < least:
            text = f"contrast {ratio:.1f} with the background, needs {least}"
            found.append(error("contrast", LAYOUT, f"colours.{name}", text))
    return found


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two `#rrggbb` colours (WCAG 2.2), 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of a `#rrggbb` colour (WCAG 2.2), 0 to 1."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
