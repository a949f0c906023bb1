"""Template folders: read and checked as a whole.

A folder holds `template.toml` (the description without its texts), `texts/<language>.toml`
(flat `key = "text"`) and `images/<kind>.png` at three times the size in points. It is a
starting point: once published, the version in the database is what counts.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError, create_model

from walletsvc.core.errors import ConfigurationError
from walletsvc.passes import images, template_checks
from walletsvc.passes.findings import LAYOUT, Finding, error, errors, image_file, texts_file
from walletsvc.passes.schemas import Description, Key, Strict

LANGUAGES: Final = ("ru", "en")

# What template.toml holds: the description but for its texts, which have files of their own.
_PARTS: dict[str, Any] = {
    name: (field.annotation, field)
    for name, field in Description.model_fields.items()
    if name != "texts"
}
_Layout: type[BaseModel] = create_model("Layout", __base__=Strict, **_PARTS)
_Texts: TypeAdapter[dict[str, str]] = TypeAdapter(dict[Key, str])


@dataclass(frozen=True)
class LoadedTemplate:
    """A template: its description, and the source image of every kind."""

    description: Description
    images: dict[str, bytes]

    def digest(self) -> bytes:
        """The same for templates that make the same passes."""
        parts = orjson.dumps(self.description.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        digest = hashlib.sha256(parts)
        for kind in sorted(self.images):
            digest.update(kind.encode() + hashlib.sha256(self.images[kind]).digest())
        return digest.digest()

    @cached_property
    def image_findings(self) -> tuple[Finding, ...]:
        """What is wrong with the sources."""
        return tuple(
            error("image", image_file(kind), "", text)
            for kind, source in self.images.items()
            for text in images.faults(kind, source)
        )

    @cached_property
    def pictures(self) -> Mapping[str, Mapping[int, bytes]]:
        """What is made of the sources: PNGs by kind and density (1, 2, 3). Takes a moment.

        A source that is not in order has none.
        """
        bad = {finding.file for finding in self.image_findings}
        return {
            kind: images.densities(source)
            for kind, source in self.images.items()
            if image_file(kind) not in bad
        }


def load(folder: Path) -> LoadedTemplate:
    """Read and check a template folder.

    Raises ConfigurationError with one line per problem, each naming file and key.
    """
    template, found = read(folder)
    if template is None:
        raise ConfigurationError("\n".join(finding.told(folder) for finding in errors(found)))
    return template


def read(folder: Path) -> tuple[LoadedTemplate | None, list[Finding]]:
    """What a folder holds, and what is wrong with it; no template when something is."""
    found: list[Finding] = []
    layout = _read_toml(folder, LAYOUT, found)
    texts = _read_texts(folder, found)
    sources = _read_images(folder, found)
    if layout is not None:
        found += _shape_findings(_Layout, layout)
        found += template_checks.layout_findings(layout)
        for language, known in texts.items():
            found += template_checks.text_findings(layout, language, known)
    if layout is None or errors(found):
        return None, found
    try:
        description = Description.model_validate({**layout, "texts": texts})
    except ValidationError as invalid:  # a rule of the schema that no check above words better
        return None, found + [_schema_finding(dict(e), LAYOUT) for e in invalid.errors()]
    return LoadedTemplate(description, sources), found


def _read_toml(folder: Path, file: str, found: list[Finding]) -> dict[str, Any] | None:
    try:
        return tomllib.loads((folder / file).read_text(encoding="utf-8"))
    except OSError as failed:
        message = f"cannot be read: {failed.strerror}"
    except UnicodeDecodeError:
        message = "is not UTF-8"
    except tomllib.TOMLDecodeError as failed:
        message = f"is not valid TOML: {failed}"
    found.append(error("unreadable", file, "", message))
    return None


def _read_texts(folder: Path, found: list[Finding]) -> dict[str, dict[str, str]]:
    texts = {}
    for path in sorted((folder / "texts").glob("*.toml")):
        file = texts_file(path.stem)
        if path.stem not in LANGUAGES:
            message = f"the language '{path.stem}' is not one of ru, en"
            found.append(error("language", file, "", message))
            continue
        raw = _read_toml(folder, file, found)
        if raw is None:
            continue
        try:
            texts[path.stem] = _Texts.validate_python(raw)
        except ValidationError as invalid:
            found += [_schema_finding(dict(e), file) for e in invalid.errors()]
    found += [
        error("language", texts_file(name), "", "is missing")
        for name in LANGUAGES
        if not (folder / texts_file(name)).exists()
    ]
    return texts


def _read_images(folder: Path, found: list[Finding]) -> dict[str, bytes]:
    sources = {}
    for kind in images.KINDS:
        file = image_file(kind)
        try:
            sources[kind] = (folder / file).read_bytes()
        except OSError as failed:
            message = f"cannot be read: {failed.strerror}"
            found.append(error("unreadable", file, "", message))
            continue
        found += [error("image", file, "", text) for text in images.faults(kind, sources[kind])]
    found += [
        error("image", f"images/{path.name}", "", text)
        for path in sorted((folder / "images").glob("*"))
        if path.stem not in images.KINDS
        for text in images.faults(path.stem, b"")
    ]
    return sources


def _shape_findings(model: type[BaseModel], raw: dict[str, Any]) -> list[Finding]:
    try:
        model.model_validate(raw)
    except ValidationError as invalid:
        return [_schema_finding(dict(e), LAYOUT) for e in invalid.errors()]
    return []


def _schema_finding(invalid: dict[str, Any], file: str) -> Finding:
    """One of pydantic's errors in the words and codes of pre-flight."""
    key = _where(invalid["loc"])
    code, message = _what(invalid)
    return error(code, file, key, message)


def _where(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        if part == "[key]":  # pydantic's mark for "the key itself"
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".")


def _what(invalid: dict[str, Any]) -> tuple[str, str]:
    """Code and message."""
    match invalid["type"]:
        case "extra_forbidden":
            return "schema", "is not a known key"
        case "missing":
            return "schema", "is missing"
        case "string_pattern_mismatch" if invalid["ctx"]["pattern"].startswith("^#"):
            return "colour", f"{invalid['input']!r} is not a colour such as #1a2b3c (lower case)"
        case "string_pattern_mismatch":
            return "schema", (
                f"{invalid['input']!r} is not a key (lower case letters, digits, underscores)"
            )
        case kind:
            message: str = invalid["msg"].removeprefix("Value error, ")
            code = "hidden-fields" if kind == "too_long" else "schema"
            return code, message[:1].lower() + message[1:]
