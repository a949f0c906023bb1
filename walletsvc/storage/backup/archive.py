"""The file of a backup: a tar whose first member says what the others are and must hash to.

    manifest.json   format, version, schema revision, time, address, members with their hashes
    database.dump   pg_dump's custom format, compressed
    secret_key      the installation's secret, when it lives in the data directory
    certs/…         keys, certificates, roots

Reading trusts nothing: members must be announced, plain, whole and of safe names.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Annotated, Final

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from walletsvc.core.errors import ConfigurationError

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
DUMP: Final = "database.dump"
SECRET_FILE: Final = "secret_key"  # noqa: S105 - its name
CERTS: Final = "certs/"
_MOST_MANIFEST: Final = 16 << 20
_CHUNK: Final = 1 << 20


def _safe(name: str) -> str:
    parts = name.split("/")
    known = name in (DUMP, SECRET_FILE) or (name.startswith(CERTS) and len(parts) > 1)
    # No hidden files, no way up, nothing that a file system reads in a way of its own.
    if not known or any(not p or p.startswith(".") or "\0" in p or "\\" in p for p in parts):
        raise ValueError("is not a member of a backup")
    return name


class Member(BaseModel):
    """A file in the archive: its name, its bytes and their SHA-256."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, Field(max_length=500), AfterValidator(_safe)]
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What a backup is. `secret_fingerprint` recognises the secret and tells nothing of it;
    `server_version` is PostgreSQL's (180004)."""

    model_config = ConfigDict(frozen=True)

    format: int
    walletsvc: str
    revision: str
    created_at: AwareDatetime
    public_url: str
    server_version: int
    database_bytes: int
    secret_included: bool
    secret_fingerprint: str
    members: tuple[Member, ...]

    @property
    def names(self) -> set[str]:
        """The members' names."""
        return {member.name for member in self.members}


def describe(name: str, content: bytes | Path) -> Member:
    """The manifest's line for one file."""
    digest, size = hashlib.sha256(), 0
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Member(name=name, size=size, sha256=digest.hexdigest())


def pack(stream: IO[bytes], manifest: Manifest, contents: Mapping[str, bytes | Path]) -> None:
    """Write the archive; every member of the manifest must be among `contents`."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        when = int(manifest.created_at.timestamp())
        _add(tar, MANIFEST, manifest.model_dump_json(indent=2).encode(), when)
        for member in manifest.members:
            _add(tar, member.name, contents[member.name], when)


def _add(tar: tarfile.TarFile, name: str, content: bytes | Path, when: int) -> None:
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = 0o600, when
    if isinstance(content, bytes):
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
        return
    with content.open("rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        tar.addfile(info, file)


def unpack(stream: IO[bytes], folder: Path | None) -> Manifest:
    """Check an archive, and write its members into `folder` (None: only check).

    Raises ConfigurationError when it is not a backup, was made by a newer walletsvc, or is not
    what it was when it was made.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            manifest = _read_manifest(tar)
            missing = {member.name: member for member in manifest.members}
            while (info := tar.next()) is not None:
                member = missing.pop(info.name, None)
                if member is None or not info.isreg():
                    raise ConfigurationError(f"The backup holds {info.name!r} unannounced.")
                _read(tar, info, member, folder)
    except (tarfile.TarError, EOFError) as error:
        raise ConfigurationError(
            "This is not a whole backup of walletsvc: it is damaged, cut off or something else."
        ) from error
    if missing:
        raise ConfigurationError(f"The backup lacks {min(missing)}: it was cut off.")
    return manifest


def _read_manifest(tar: tarfile.TarFile) -> Manifest:
    info = tar.next()
    content = None
    if info is not None and info.name == MANIFEST and info.isreg() and info.size < _MOST_MANIFEST:
        content = tar.extractfile(info)
    if content is None:
        raise ConfigurationError("This is not a backup of walletsvc.")
    try:
        raw = orjson.loads(content.read())
        written = raw["format"]
        if isinstance(written, int) and written > FORMAT:
            raise ConfigurationError(
                f"The backup was made by walletsvc {raw.get('walletsvc')}, in a format that this "
                "version does not know: install that version or a newer one."
            )
        return Manifest.model_validate(raw)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise ConfigurationError("The backup's manifest.json is damaged.") from error


def _read(tar: tarfile.TarFile, info: tarfile.TarInfo, member: Member, folder: Path | None) -> None:
    content = tar.extractfile(info)
    digest, size = hashlib.sha256(), 0
    with _target(folder, member.name) as target:
        while content is not None and (chunk := content.read(_CHUNK)):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
    if size != member.size or digest.hexdigest() != member.sha256:
        raise ConfigurationError(f"The backup is damaged: {member.name} is not what it was.")


def _target(folder: Path | None, name: str) -> IO[bytes]:
    if folder is None:
        return Path(os.devnull).open("wb")
    path = folder / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
