"""Template folders: read, checked as a whole, and published as versions into the database.

A folder holds `template.toml` (the description without its texts), `texts/<language>.toml`
(flat `key = "text"`) and `images/<kind>.png` at three times the size in points. It is a
starting point: once published, the version in the database is what counts.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError, create_model
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from walletsvc.core.actor import SYSTEM, Actor
from walletsvc.core.errors import ConfigurationError, Refused
from walletsvc.passes import images, spreading, template_checks
from walletsvc.passes.models import (
    PassTemplate,
    TemplateImage,
    TemplateVersion,
    VersionState,
)
from walletsvc.passes.schemas import Description, Key, Strict, Style
from walletsvc.programmes.models import Programme, ProgrammeKind

LAYOUT: Final = "template.toml"
LANGUAGES: Final = ("ru", "en")
_KIND_OF: Final = {Style.LOYALTY: ProgrammeKind.POINTS, Style.GIFT: ProgrammeKind.GIFT}

# What template.toml holds: the description but for its texts, which have files of their own.
_PARTS: dict[str, Any] = {
    name: (field.annotation, field)
    for name, field in Description.model_fields.items()
    if name != "texts"  # the texts have files of their own
}
_Layout: type[BaseModel] = create_model("Layout", __base__=Strict, **_PARTS)
_Texts: TypeAdapter[dict[str, str]] = TypeAdapter(dict[Key, str])


@dataclass(frozen=True)
class LoadedTemplate:
    """A checked template: its description, and the source image of every kind."""

    description: Description
    images: dict[str, bytes]

    def digest(self) -> bytes:
        """The same for templates that make the same passes."""
        parts = orjson.dumps(self.description.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        digest = hashlib.sha256(parts)
        for kind in sorted(self.images):
            digest.update(kind.encode() + hashlib.sha256(self.images[kind]).digest())
        return digest.digest()


def load(folder: Path) -> LoadedTemplate:
    """Read and check a template folder.

    Raises ConfigurationError with one line per problem, each naming file and key.
    """
    problems: list[str] = []
    layout = _read_toml(folder / LAYOUT, problems)
    texts = _read_texts(folder / "texts", problems)
    sources = _read_images(folder / "images", problems)
    if layout is not None:
        path = str(folder / LAYOUT)
        problems += [f"{path}: {text}" for text in _shape_faults(_Layout, layout)]
        problems += [f"{path}: {text}" for text in template_checks.layout_faults(layout)]
        problems += [
            f"{folder / 'texts' / f'{language}.toml'}: {text}"
            for language, found in texts.items()
            for text in template_checks.text_faults(layout, found)
        ]
    if layout is None or problems:
        raise ConfigurationError("\n".join(problems))
    try:
        description = Description.model_validate({**layout, "texts": texts})
    except ValidationError as error:  # a rule of the schema that no check above words better
        lines = [f"{folder}: {_where(e['loc'])}: {_what(dict(e))}" for e in error.errors()]
        raise ConfigurationError("\n".join(lines)) from error
    return LoadedTemplate(description, sources)


def _read_toml(path: Path, problems: list[str]) -> dict[str, Any] | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{path}: is not UTF-8")
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: is not valid TOML: {error}")
    return None


def _read_texts(folder: Path, problems: list[str]) -> dict[str, dict[str, str]]:
    texts = {}
    for path in sorted(folder.glob("*.toml")):
        if path.stem not in LANGUAGES:
            problems.append(f"{path}: the language '{path.stem}' is not one of ru, en")
            continue
        raw = _read_toml(path, problems)
        if raw is None:
            continue
        try:
            texts[path.stem] = _Texts.validate_python(raw)
        except ValidationError as error:
            problems += [f"{path}: {_where(e['loc'])}: {_what(dict(e))}" for e in error.errors()]
    missing = [name for name in LANGUAGES if not (folder / f"{name}.toml").exists()]
    problems += [f"{folder / f'{name}.toml'}: is missing" for name in missing]
    return texts


def _read_images(folder: Path, problems: list[str]) -> dict[str, bytes]:
    sources = {}
    for kind in images.KINDS:
        path = folder / f"{kind}.png"
        try:
            sources[kind] = path.read_bytes()
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror}")
            continue
        problems += [f"{path}: {text}" for text in images.faults(kind, sources[kind])]
    problems += [
        f"{path}: is not an image that cards use ({', '.join(images.KINDS)})"
        for path in sorted(folder.glob("*"))
        if path.stem not in images.KINDS
    ]
    return sources


def _shape_faults(model: type[BaseModel], raw: dict[str, Any]) -> list[str]:
    try:
        model.model_validate(raw)
    except ValidationError as error:
        return [f"{_where(e['loc'])}: {_what(dict(e))}" for e in error.errors()]
    return []


def _where(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        if part == "[key]":  # pydantic's mark for "the key itself"
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".")


def _what(error: dict[str, Any]) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "is not a known key"
        case "missing":
            return "is missing"
        case "string_pattern_mismatch" if error["ctx"]["pattern"].startswith("^#"):
            return f"{error['input']!r} is not a colour such as #1a2b3c (lower case)"
        case "string_pattern_mismatch":
            return f"{error['input']!r} is not a key (lower case letters, digits, underscores)"
        case _:
            message: str = error["msg"].removeprefix("Value error, ")
            return message[:1].lower() + message[1:]


def publish(
    session: Session,
    *,
    programme_id: int,
    pass_type_id: int,
    template: LoadedTemplate,
    now: datetime,
    actor: Actor = SYSTEM,
) -> TemplateVersion:
    """Make this template the programme's published version, and retire the former one.

    A bulk job then publishes the passes that were made from the former (`spreading`).
    Publishing what is published already changes nothing and returns the present version.
    Raises Refused when the style does not fit the programme, or when the programme's passes
    were issued under another pass type: that never changes, phones hold them.
    """
    _require_fit(session, programme_id, template.description.style)
    parent = _lock_parent(session, programme_id, pass_type_id, now)
    if parent.pass_type_id != pass_type_id:
        raise Refused("The programme's passes are issued under another pass type identifier.")
    present = session.exec(
        select(TemplateVersion).where(
            TemplateVersion.template_id == parent.id,
            TemplateVersion.state == VersionState.PUBLISHED,
        )
    ).first()
    if present is not None:
        if present.digest == template.digest():
            return present
        present.state = VersionState.RETIRED
        session.flush()  # before the new one is inserted: only one may be published
    version = _add_version(session, parent, template, now)
    if present is not None:
        programme = session.get_one(Programme, programme_id)
        spreading.begin_template(session, parent, programme, version.number, actor=actor, now=now)
    return version


def _add_version(
    session: Session, parent: PassTemplate, template: LoadedTemplate, now: datetime
) -> TemplateVersion:
    """The template as the next version, published; the parent is locked."""
    last = session.exec(
        select(func.max(TemplateVersion.number)).where(TemplateVersion.template_id == parent.id)
    ).one()
    version = TemplateVersion(
        template_id=parent.id,
        number=(last or 0) + 1,
        state=VersionState.PUBLISHED,
        description=template.description.model_dump(mode="json"),
        digest=template.digest(),
        created_at=now,
        published_at=now,
    )
    session.add(version)
    session.flush()
    session.add_all(_image_rows(version.id, template.images))
    session.flush()
    return version


def _require_fit(session: Session, programme_id: int, style: Style) -> None:
    programme = session.get_one(Programme, programme_id)
    if programme.kind != _KIND_OF[style]:
        raise Refused(
            f"The template is for {style} cards; the programme '{programme.slug}'"
            f" counts {programme.kind}."
        )


def _lock_parent(
    session: Session, programme_id: int, pass_type_id: int, now: datetime
) -> PassTemplate:
    """The programme's template, made if missing, locked: versions are numbered one at a time."""
    session.execute(
        insert(PassTemplate)
        .values(programme_id=programme_id, pass_type_id=pass_type_id, created_at=now)
        .on_conflict_do_nothing(index_elements=["programme_id"])
    )
    return session.exec(
        select(PassTemplate).where(col(PassTemplate.programme_id) == programme_id).with_for_update()
    ).one()


def _image_rows(version_id: int, sources: dict[str, bytes]) -> list[TemplateImage]:
    return [
        TemplateImage(version_id=version_id, kind=kind, density=density, png=png)
        for kind, source in sources.items()
        for density, png in {images.SOURCE: source, **images.densities(source)}.items()
    ]
