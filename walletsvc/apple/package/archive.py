"""ZIP archives of which all but the last few files are known beforehand.

`zipfile` writes the unchanging part once; per pass the few changing files are appended
behind it and the directory is completed, which costs a copy instead of a loop over all
files. The three record layouts are those of PKWARE's APPNOTE, 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")

# The same content must give the same bytes, so every entry has ZIP's earliest date.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_EPOCH_DATE = 0x21
_VERSION = 20
_UNIX = 3 << 8
_MODE = 0o100644 << 16


@dataclass(frozen=True)
class PreparedArchive:
    """The unchanging entries, and their part of the central directory."""

    entries: bytes
    directory: bytes
    count: int


def prepare_archive(files: Mapping[str, bytes]) -> PreparedArchive:
    """Pack the files that never change; PNGs are stored, since they are compressed already."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = _MODE
            stored = path.endswith(".png")
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    whole = buffer.getvalue()
    _, _, _, _, count, size, offset, _ = _END.unpack(whole[-_END.size :])
    return PreparedArchive(whole[:offset], whole[offset : offset + size], count)


def complete(prepared: PreparedArchive, files: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The archive with these files, (ASCII name, content), stored behind the prepared ones."""
    parts = [prepared.entries]
    directory = [prepared.directory]
    offset = len(prepared.entries)
    for name, data in files:
        crc, size = zlib.crc32(data), len(data)
        parts += (_local(name, crc, size), name, data)
        directory += (_central(name, crc, size, offset), name)
        offset += _LOCAL.size + len(name) + size
    listing = b"".join(directory)
    count = prepared.count + len(files)
    parts += (
        listing,
        _END.pack(b"PK\x05\x06", 0, 0, count, count, len(listing), offset, 0),
    )
    return b"".join(parts)


def _local(name: bytes, crc: int, size: int) -> bytes:
    """The header before a stored file."""
    stored, flags, time, extra = 0, 0, 0, 0
    kind = (_VERSION, flags, stored, time, _EPOCH_DATE)
    return _LOCAL.pack(b"PK\x03\x04", *kind, crc, size, size, len(name), extra)


def _central(name: bytes, crc: int, size: int, offset: int) -> bytes:
    """The directory's record of a stored file."""
    stored, flags, time = 0, 0, 0
    kind = (_UNIX | _VERSION, _VERSION, flags, stored, time, _EPOCH_DATE)
    extra, comment, disk, internal = 0, 0, 0, 0
    rest = (len(name), extra, comment, disk, internal, _MODE, offset)
    return _CENTRAL.pack(b"PK\x01\x02", *kind, crc, size, size, *rest)
