"""A .pkpass as Wallet opens it: everything is checked before anything is shown.

Written apart from the code that builds passes, from Apple's description of the format; it
shares nothing with it, so that a mistake there is not repeated here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509

from walletsvc.emulators.phone import archive, cms, rules, texts, trust
from walletsvc.emulators.phone.errors import PackageRefused
from walletsvc.emulators.phone.fields import all_fields

_STRINGS = re.compile(r"([a-z]{2,3}(?:-[A-Za-z0-9]+)*)\.lproj/pass\.strings")
_IMAGE = re.compile(r"(?:([^/]+)\.lproj/)?([A-Za-z]+)(?:@([23])x)?\.png")
_PNG = b"\x89PNG\r\n\x1a\n"
_CLOCK_SKEW = timedelta(hours=24)


@dataclass(frozen=True)
class Package:
    """A package that passed every check.

    `document` is pass.json, `texts` are the strings by language, `chain` is who signed,
    `notes` are things Wallet puts up with but somebody will miss.
    """

    document: dict[str, Any]
    style: str
    texts: dict[str, dict[str, str]]
    files: dict[str, bytes]
    chain: trust.Chain
    signed_at: datetime
    notes: tuple[str, ...]

    @property
    def pass_type(self) -> str:
        """The pass type identifier, which is also the topic of its pushes."""
        return str(self.document["passTypeIdentifier"])

    @property
    def serial(self) -> str:
        """The serial number, unique within the pass type."""
        return str(self.document["serialNumber"])

    @property
    def service_url(self) -> str | None:
        """The web service's address, without a slash at the end; None for a pass without."""
        url = self.document.get("webServiceURL")
        return str(url).rstrip("/") if url else None

    @property
    def token(self) -> str:
        """The token that opens this pass at the web service."""
        return str(self.document.get("authenticationToken", ""))

    @property
    def voided(self) -> bool:
        """Whether the pass says that it is no longer good."""
        return bool(self.document.get("voided", False))

    @property
    def fields(self) -> dict[str, dict[str, Any]]:
        """The fields of all groups by key."""
        return all_fields(self.document, self.style)

    @property
    def values(self) -> dict[str, Any]:
        """The raw values of all fields by key."""
        return {key: field["value"] for key, field in self.fields.items()}

    def face(self) -> dict[str, bytes]:
        """All that Wallet shows: the files without manifest and signature."""
        return {
            name: data
            for name, data in self.files.items()
            if name not in (archive.MANIFEST, archive.SIGNATURE)
        }

    def text(self, key: str, language: str) -> str:
        """A text in a language; where there is no such text the key itself is shown."""
        return self.texts.get(language, {}).get(key, key)

    def shown(self, key: str, language: str) -> str:
        """The value of a field as it is shown in a language."""
        return texts.shown(self.fields[key], self.texts.get(language, {}), language)


def open_package(data: bytes, *, now: datetime, roots: Sequence[x509.Certificate] = ()) -> Package:
    """Open and check a .pkpass; raises PackageRefused with the first reason found.

    Without roots the chain is checked as far as the package itself goes.
    """
    files = archive.unpack(data)
    signature = cms.verify(files[archive.SIGNATURE], files[archive.MANIFEST])
    document = archive.read_json(archive.PASS, files[archive.PASS])
    notes = rules.check_pass(document)
    chain = trust.check(
        signature,
        pass_type_identifier=document["passTypeIdentifier"],
        team_identifier=document["teamIdentifier"],
        roots=roots,
        now=now,
    )
    if "nfc" in document:
        trust.require_contactless(signature.leaf)
    if signature.signed_at > now + _CLOCK_SKEW:
        raise PackageRefused(f"signature: was made in the future ({signature.signed_at})")
    languages = _languages(files)
    style = rules.style_of(document)
    _check_change_messages(all_fields(document, style), languages)
    notes += _check_images(files)
    if signature.digest == "sha1":
        notes.append("signature: uses SHA-1; SHA-256 is today's choice")
    return Package(document, style, languages, files, chain, signature.signed_at, tuple(notes))


def _languages(files: dict[str, bytes]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, data in files.items():
        if match := _STRINGS.fullmatch(name):
            found[match[1]] = texts.parse_strings(name, data)
        elif name.endswith(".strings"):
            raise PackageRefused(f"{name}: texts belong into <language>.lproj/pass.strings")
    every = set().union(*found.values()) if found else set()
    for language, known in found.items():
        for key in sorted(every - set(known)):
            raise PackageRefused(
                f"{language}.lproj/pass.strings: '{key}' is missing, other languages have it"
            )
    return found


def _check_change_messages(
    fields: dict[str, dict[str, Any]], languages: dict[str, dict[str, str]]
) -> None:
    for key, field in fields.items():
        message = field.get("changeMessage")
        if message is None:
            continue
        for language, known in (languages or {"": {}}).items():
            if "%@" not in known.get(message, message):
                where = f" in '{language}'" if language else ""
                raise PackageRefused(
                    f"pass.json: field '{key}': changeMessage has no %@{where}, "
                    "so the notification would not say what changed"
                )


def _check_images(files: dict[str, bytes]) -> list[str]:
    sizes: dict[tuple[str, str], dict[int, tuple[int, int]]] = {}
    for name, data in files.items():
        if not name.endswith(".png"):
            continue
        match = _IMAGE.fullmatch(name)
        if match is None:
            raise PackageRefused(f"{name}: is not the name of an image of a pass")
        image = (match[1] or "", match[2])
        sizes.setdefault(image, {})[int(match[3] or 1)] = _png_size(name, data)
    if not any(image == ("", "icon") for image in sizes):
        raise PackageRefused("package: icon.png is missing")
    return [note for image, found in sorted(sizes.items()) for note in _densities(image, found)]


def _png_size(name: str, data: bytes) -> tuple[int, int]:
    if not data.startswith(_PNG) or data[12:16] != b"IHDR" or len(data) < 24:
        raise PackageRefused(f"{name}: is not a PNG image")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _densities(image: tuple[str, str], found: dict[int, tuple[int, int]]) -> list[str]:
    folder, kind = image
    name = f"{folder}.lproj/{kind}" if folder else kind
    notes = [f"{name}: has no @{density}x image" for density in (1, 2, 3) if density not in found]
    base = found.get(1)
    for density, size in found.items():
        if base and any(
            abs(got - one * density) >= density for got, one in zip(size, base, strict=True)
        ):
            notes.append(f"{name}@{density}x: is not {density} times the size of the @1x image")
    return notes
