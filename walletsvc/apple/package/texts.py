"""Texts in more than one language: what stands in pass.json, and the pass.strings files.

A text stands in pass.json in the root language, and that very text is its key in every
`<language>.lproj/pass.strings`. So nothing raw can ever be seen: a reader that knows no
translations, or a phone in a third language for which Wallet finds no folder, shows the
root language. The price is that two texts which are equal in the root language but not in
another need telling apart; the later one gets an invisible character.

pass.strings is UTF-16 with a byte order mark: that is the encoding Apple documents, and the
mark lets other readers tell it from the UTF-8 that many packages carry instead. A reader
that knows only UTF-8 finds no translation and shows the root language.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass

from walletsvc.passes.schemas import Description

_ZERO_WIDTH_SPACE = "\u200b"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


@dataclass(frozen=True)
class Texts:
    """`root` maps the description's text keys to what pass.json says; `files` are the
    pass.strings by their paths in the package."""

    root: Mapping[str, str]
    files: Mapping[str, bytes]


def localise(description: Description, default_language: str) -> Texts:
    """All texts a description's pass uses, in all its languages."""
    languages = description.texts
    root_language = root_of(languages, default_language)
    root: dict[str, str] = {}
    # What each text of the root language becomes in the others; the empty text stays free,
    # for it cannot be looked up.
    meanings: dict[str, tuple[str, ...]] = {"": ("",) * len(languages)}
    for key in _used(description):
        meaning = tuple(texts[key] for texts in languages.values())
        text = languages[root_language][key]
        while meanings.setdefault(text, meaning) != meaning:
            text += _ZERO_WIDTH_SPACE
        root[key] = text
    del meanings[""]
    return Texts(
        root=root,
        files={
            f"{language}.lproj/pass.strings": _strings(
                {text: meaning[position] for text, meaning in meanings.items()}
            )
            for position, language in enumerate(languages)
        },
    )


def root_of(languages: Mapping[str, object], default_language: str) -> str:
    """The language of pass.json itself: the installation's default, else English, else any."""
    for language in (default_language, "en"):
        if language in languages:
            return language
    return next(iter(languages))


def _used(description: Description) -> list[str]:
    """Keys of texts that stand on the pass, each once, in a fixed order."""
    names = [description.description, description.logo_text]
    for spec in description.fields.everywhere():
        names += [spec.label, spec.text, spec.change]
    return [name for name in dict.fromkeys(names) if name is not None]


def _strings(texts: Mapping[str, str]) -> bytes:
    """A .strings file: `"key" = "text";` per line, UTF-16 LE with a byte order mark."""
    lines = [f'"{_escape(key)}" = "{_escape(text)}";\n' for key, text in texts.items()]
    return codecs.BOM_UTF16_LE + "".join(lines).encode("utf-16-le")


def _escape(text: str) -> str:
    return text.translate(_ESCAPES)
