"""Where the server's unix socket goes: beside the data, or in a short private folder."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import quote

from walletsvc.core.errors import ConfigurationError

PORT: Final = 5432
_NAME: Final = f".s.PGSQL.{PORT}"
_MAX_BYTES: Final = 103  # `sun_path` holds 108 bytes on Linux, 104 on macOS, with the final zero
_PLAIN: Final = re.compile(r"[\w./-]+", re.ASCII)  # PostgreSQL reads a list: no commas, no quotes


def _suits(folder: Path) -> bool:
    path = str(folder / _NAME)
    return len(os.fsencode(path)) <= _MAX_BYTES and _PLAIN.fullmatch(path) is not None


def choose_folder(folder: Path) -> Path:
    """The folder for the socket of the server in `folder`, which is made if need be.

    A path that is too long for a socket gets a private folder under the system's temporary one.
    Raises ConfigurationError when somebody else made that folder first.
    """
    if _suits(folder):
        return folder
    name = f"walletsvc-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 (0700, owner checked)
        short = parent / name
        if _suits(short):
            _make_private(short, folder.stat())
            return short
    raise ConfigurationError(
        f"WALLETSVC_DATA_DIR: {folder} is too long for a socket; choose a shorter directory."
    )


def _make_private(short: Path, owner: os.stat_result) -> None:
    """Make `short` for `owner`; anybody may create names there, so trust only what is checked."""
    try:
        short.mkdir(mode=0o700)
        if os.geteuid() == 0 and owner.st_uid:
            os.chown(short, owner.st_uid, owner.st_gid)
    except FileExistsError:
        pass
    found = short.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner.st_uid or found.st_mode & 0o077:
        raise ConfigurationError(
            f"{short} is not a private folder of this user: remove it, "
            "or set WALLETSVC_DATA_DIR to a shorter directory."
        )


def clear(socket_folder: Path) -> None:
    """Remove the socket of a server that is gone, and its lock file with a pid that may live on."""
    for name in (_NAME, f"{_NAME}.lock"):
        (socket_folder / name).unlink(missing_ok=True)


def discard(socket_folder: Path, folder: Path) -> None:
    """The same, and remove the short folder that was made for the socket."""
    clear(socket_folder)
    if socket_folder != folder and socket_folder.name.startswith("walletsvc-"):
        try:
            socket_folder.rmdir()
        except OSError:
            return  # not there, or not only ours: a leftover folder harms nobody


def url(socket_folder: Path, database: str) -> str:
    """The address of a database, for psycopg and SQLAlchemy alike."""
    host = quote(str(socket_folder), safe="")
    return f"postgresql://postgres@/{database}?host={host}&port={PORT}"
