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

# The end of the directory; of a file, what differs: checksum and sizes, and its place.
_END = struct.Struct("<4s4H2LH")
_SUMS = struct.Struct("<3L")
_OFFSET = struct.Struct("<L")

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


@dataclass(frozen=True)
class AppendedName:
    """The records of a stored file, but for checksum, sizes and place."""

    name: bytes
    local: bytes
    local_end: bytes
    central: bytes
    central_end: bytes
    overhead: int


def appended(name: bytes) -> AppendedName:
    """Prepare the records of a file that will be appended under this ASCII name."""
    flags = stored = time = extra = comment = disk = internal = 0
    kind = struct.pack("<5H", _VERSION, flags, stored, time, _EPOCH_DATE)
    lengths = struct.pack("<2H", len(name), extra)
    local, local_end = b"PK\x03\x04" + kind, lengths + name
    return AppendedName(
        name=name,
        local=local,
        local_end=local_end,
        central=b"PK\x01\x02" + struct.pack("<H", _UNIX | _VERSION) + kind,
        central_end=lengths + struct.pack("<3HL", comment, disk, internal, _MODE),
        overhead=len(local) + _SUMS.size + len(local_end),
    )


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


def complete(prepared: PreparedArchive, files: Sequence[tuple[AppendedName, bytes]]) -> bytes:
    """The archive with these files stored behind the prepared ones."""
    parts = [prepared.entries]
    directory = [prepared.directory]
    offset = len(prepared.entries)
    for name, data in files:
        size = len(data)
        sums = _SUMS.pack(zlib.crc32(data), size, size)
        parts += (name.local, sums, name.local_end, data)
        directory += (name.central, sums, name.central_end, _OFFSET.pack(offset), name.name)
        offset += name.overhead + size
    listing = b"".join(directory)
    count = prepared.count + len(files)
    parts += (listing, _END.pack(b"PK\x05\x06", 0, 0, count, count, len(listing), offset, 0))
    return b"".join(parts)
