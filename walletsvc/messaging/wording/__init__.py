"""The words of messages: one template per kind and channel, in every language of the service.

Plain tables, as for timelines: whoever sends has no request to translate in, and a test compares
the tables. `{name}` stands for a value; nothing else is special.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from walletsvc.core.quoting import nested
from walletsvc.messaging.kinds import Channel, MessageKind

LANGUAGES: Final = ("ru", "en")


@dataclass(frozen=True, slots=True)
class Words:
    """What a message says on one channel; only e-mail has a subject."""

    text: str
    subject: str = ""


def render(
    kind: MessageKind, channel: Channel, language: str, values: Mapping[str, str]
) -> Words | None:
    """The words of a kind on a channel with its values; None where it has none there.

    A language that we do not speak is English. A value that is wanted and not given is a
    KeyError: a bug of the caller.
    """
    table = tables()[language if language in LANGUAGES else "en"]
    found = table[kind.value].get(channel.value)
    if found is None:
        return None
    # Not str.format: its `{a.b}` reads attributes, and a marketer's text may hold braces.
    parts = {name: _filled(template, values) for name, template in found.items()}
    return Words(parts["text"], parts.get("subject", ""))


@cache
def tables() -> dict[str, dict[str, Any]]:
    """Every language's templates by kind and channel."""
    folder = resources.files(__name__)
    return {
        language: tomllib.loads((folder / f"{language}.toml").read_text(encoding="utf-8"))
        for language in LANGUAGES
    }


def contact(language: str, phone: str | None) -> str:
    """How to reach the shop, for words that end with it; as short as may be: each letter counts."""
    russian = language == "ru"
    if phone:
        return f"Тел. {phone}" if russian else f"Call {phone}"
    return "Свяжитесь с нами." if russian else "Contact us."


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Values go in once: what a value holds is never read as a template."""
    out, rest = [], template.strip("\n")
    while True:
        before, brace, rest = rest.partition("{")
        out.append(before)
        if not brace:
            return "".join(out)
        name, _, rest = rest.partition("}")
        out.append(nested(values[name]) if before.endswith("«") else values[name])
