"""Texts in more than one language, as Google takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def root_of(languages: Mapping[str, object], default_language: str) -> str:
    """What phones in a third language show: the installation's default, else English, else any."""
    for language in (default_language, "en"):
        if language in languages:
            return language
    return next(iter(languages))


def localised(by_language: Mapping[str, str], root: str) -> dict[str, Any] | None:
    """A LocalizedString; None when all languages say the same."""
    said = _filled(by_language, root)
    default = said[root]
    others = [
        {"language": language, "value": text} for language, text in said.items() if language != root
    ]
    if all(other["value"] == default for other in others):
        return None
    return {
        "defaultValue": {"language": root, "value": default},
        "translatedValues": others,
    }


def both(name: str, by_language: Mapping[str, str] | None, root: str) -> dict[str, Any]:
    """A text under its plain name and its localised one (`header`, `localizedHeader`); neither of
    a text that is blank in all languages."""
    other = f"localized{name[0].upper()}{name[1:]}"
    if by_language is None:
        return {name: None, other: None}
    plain = _filled(by_language, root)[root]
    return {name: plain or None, other: localised(by_language, root)}


def _filled(by_language: Mapping[str, str], root: str) -> dict[str, str]:
    """The same without blanks: Google takes a translation only with a value, so where one is blank
    the default language says it, or whichever says anything."""
    candidates = (by_language[root], *by_language.values())
    spare = next((text for text in candidates if text.strip()), "")
    return {language: text if text.strip() else spare for language, text in by_language.items()}


def present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is null: a list is replaced whole, so in it nothing need be taken back."""
    return {name: value for name, value in values.items() if value is not None}
