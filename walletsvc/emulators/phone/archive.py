"""The outer layer of a package: a ZIP of bounded size whose manifest covers every file.

Every limit is enforced on what is actually unpacked; a header's word is not taken for it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
import zlib
from typing import Any

from walletsvc.emulators.phone.errors import PackageRefused

MAX_PACKAGE_BYTES = 20 * 1024 * 1024
MAX_UNPACKED_BYTES = 50 * 1024 * 1024
MAX_FILES = 500

MANIFEST = "manifest.json"
SIGNATURE = "signature"
PASS = "pass.json"  # noqa: S105 (a file's name)

_SHA1 = re.compile(r"[0-9a-f]{40}")
_JUNK = re.compile(r"(^|/)(\.DS_Store|\._[^/]*|__MACOSX|Thumbs\.db)(/|$)")

# What the standard library's reader raises for archives that are damaged or forged.
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of a .pkpass by path, the manifest checked against each of them.

    Raises PackageRefused naming the entry that is wrong.
    """
    if len(data) > MAX_PACKAGE_BYTES:
        raise PackageRefused(f"package: is larger than {MAX_PACKAGE_BYTES} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = _read(archive)
    except _UNREADABLE as error:
        raise PackageRefused(f"package: is not a readable ZIP archive ({error})") from error
    for name in (PASS, MANIFEST, SIGNATURE):
        if name not in files:
            inside = next((f for f in files if f.endswith(f"/{name}")), None)
            hint = f" (it is in a folder: {inside})" if inside else ""
            raise PackageRefused(f"package: {name} is missing{hint}")
    _check_manifest(files)
    return files


def _read(archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = [e for e in archive.infolist() if not e.is_dir()]
    if len(entries) > MAX_FILES:
        raise PackageRefused(f"package: has more than {MAX_FILES} files")
    files: dict[str, bytes] = {}
    room = MAX_UNPACKED_BYTES
    for entry in entries:
        _check_name(entry, files)
        with archive.open(entry) as stream:
            content = stream.read(room + 1)
        room -= len(content)
        if room < 0:
            raise PackageRefused(f"package: unpacks to more than {MAX_UNPACKED_BYTES} bytes")
        files[entry.filename] = content
    return files


def _check_name(entry: zipfile.ZipInfo, seen: dict[str, bytes]) -> None:
    # `orig_filename`: the ZIP reader already turns backslashes and NULs into something nicer.
    name = entry.orig_filename
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in name.split("/"):
        raise PackageRefused(f"package: the entry name {name!r} is not a plain relative path")
    if _JUNK.search(name):
        raise PackageRefused(f"package: '{name}' does not belong into a pass")
    if name in seen:
        raise PackageRefused(f"package: '{name}' is in it twice")
    if entry.flag_bits & 0x1:
        raise PackageRefused(f"package: '{name}' is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise PackageRefused(f"package: '{name}' is packed in a way Wallet does not unpack")


def _check_manifest(files: dict[str, bytes]) -> None:
    manifest = read_json(MANIFEST, files[MANIFEST])
    covered = set(files) - {MANIFEST, SIGNATURE}
    for name in sorted(covered - set(manifest)):
        raise PackageRefused(f"{MANIFEST}: does not list '{name}', which is in the package")
    for name, digest in manifest.items():
        if name not in covered:
            raise PackageRefused(f"{MANIFEST}: lists '{name}', which is not in the package")
        if not isinstance(digest, str) or not _SHA1.fullmatch(digest):
            raise PackageRefused(f"{MANIFEST}: the hash of '{name}' is not SHA-1 in hex")
        if hashlib.sha1(files[name], usedforsecurity=False).hexdigest() != digest:
            raise PackageRefused(f"{MANIFEST}: the hash of '{name}' does not match the file")


def read_json(name: str, data: bytes) -> dict[str, Any]:
    """A JSON object out of the package: UTF-8, no key twice; raises PackageRefused."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise PackageRefused(f"{name}: is not JSON in UTF-8 ({error})") from error
    if not isinstance(value, dict):
        raise PackageRefused(f"{name}: is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        twice = sorted({k for k, _ in pairs if [p for p, _ in pairs].count(k) > 1})
        raise ValueError(f"the key '{twice[0]}' occurs twice")
    return result
