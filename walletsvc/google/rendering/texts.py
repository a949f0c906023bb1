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
    default = by_language[root]
    others = [
        {"language": language, "value": text}
        for language, text in by_language.items()
        if language != root
    ]
    if all(other["value"] == default for other in others):
        return None
    return {
        "defaultValue": {"language": root, "value": default},
        "translatedValues": others,
    }


def both(name: str, by_language: Mapping[str, str] | None, root: str) -> dict[str, Any]:
    """A text under its plain name and its localised one (`header`, `localizedHeader`)."""
    other = f"localized{name[0].upper()}{name[1:]}"
    if by_language is None:
        return {name: None, other: None}
    return {name: by_language[root], other: localised(by_language, root)}


def present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is null: a list is replaced whole, so in it nothing need be taken back."""
    return {name: value for name, value in values.items() if value is not None}
