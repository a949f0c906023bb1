"""What pre-flight says about a template: one finding per thing, with a stable code and a place."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

LAYOUT: Final = "template.toml"
BUILT: Final = "pass.json"  # findings about the pass that would be built, not about a file


class Severity(enum.StrEnum):
    """How bad it is. Only an error keeps a template from being published."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a template, or worth knowing about it.

    `file` is the file of a template folder (also for a template that no longer has one), `key`
    the key in it or ''. `code` is stable: other software matches on it. `versions` names the
    phones that are concerned, in words, when it is not all of them.
    """

    severity: Severity
    code: str
    file: str
    key: str
    message: str
    versions: str = ""

    @property
    def path(self) -> str:
        """Where it stands in a stored version: `fields.header[0].value`, `texts.ru.about`."""
        if self.file == LAYOUT:
            return self.key or LAYOUT
        stem = self.file if self.file == BUILT else self.file.rsplit(".", 1)[0].replace("/", ".")
        return ".".join(filter(None, (stem, self.key)))

    def told(self, folder: Path | None = None) -> str:
        """One line for people; with the file's path when the template lies in a folder."""
        if folder is None:
            where = self.path
        else:
            # What would be built is no file of the folder.
            file = self.file if self.file == BUILT else str(folder / self.file)
            where = ": ".join(filter(None, (file, self.key)))
        concerned = f" ({self.versions})" if self.versions else ""
        return f"{where}: {self.message}{concerned}"

    def as_json(self) -> dict[str, Any]:
        """For programs; `path` is the place in one string."""
        return {
            "severity": self.severity.value,
            "code": self.code,
            "file": self.file,
            "key": self.key,
            "path": self.path,
            "message": self.message,
            "versions": self.versions,
        }


def error(code: str, file: str, key: str, message: str, versions: str = "") -> Finding:
    """What would break passes, or make them lie."""
    return Finding(Severity.ERROR, code, file, key, message, versions)


def warning(code: str, file: str, key: str, message: str, versions: str = "") -> Finding:
    """What some phones show badly or not at all."""
    return Finding(Severity.WARNING, code, file, key, message, versions)


def note(code: str, file: str, key: str, message: str, versions: str = "") -> Finding:
    """What may well be meant as it is."""
    return Finding(Severity.NOTE, code, file, key, message, versions)


def errors(found: Iterable[Finding]) -> list[Finding]:
    """Those that keep a template from being published."""
    return [finding for finding in found if finding.severity is Severity.ERROR]


def texts_file(language: str) -> str:
    """The file with the texts of a language."""
    return f"texts/{language}.toml"


def image_file(kind: str) -> str:
    """The file with the source of an image."""
    return f"images/{kind}.png"
