"""The archive trusts nothing that it reads: what is damaged, cut off or odd is refused in words."""

from __future__ import annotations

import io
import stat
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from walletsvc.core.errors import ConfigurationError
from walletsvc.storage.backup import archive

CONTENTS: dict[str, bytes | Path] = {
    "database.dump": b"rows" * 5000,
    "certs/pass.test.key": b"a key",
    "certs/roots/root.pem": b"a root",
    "secret_key": b"a secret",
}


def manifest(contents: dict[str, bytes | Path] = CONTENTS) -> archive.Manifest:
    """The manifest of these contents."""
    return archive.Manifest(
        format=1,
        walletsvc="0.1.0",
        revision="0004",
        created_at=datetime(2026, 11, 20, tzinfo=UTC),
        public_url="https://cards.example.com",
        server_version=180004,
        database_bytes=1,
        secret_included=True,
        secret_fingerprint="f" * 64,
        members=tuple(archive.describe(name, content) for name, content in contents.items()),
    )


def packed(contents: dict[str, bytes | Path] = CONTENTS) -> bytes:
    """A backup with these contents."""
    stream = io.BytesIO()
    archive.pack(stream, manifest(contents), contents)
    return stream.getvalue()


def tar(*members: tuple[str, bytes]) -> bytes:
    """A tar made by somebody else."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as made:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def refused(data: bytes, folder: Path | None = None) -> str:
    """Why it is refused."""
    with pytest.raises(ConfigurationError) as caught:
        archive.unpack(io.BytesIO(data), folder)
    return caught.value.detail


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    """Every file as it was, readable for its owner alone; a file is packed like bytes."""
    dump = tmp_path / "dump"
    dump.write_bytes(b"rows" * 5000)
    out = tmp_path / "out"
    out.mkdir()
    data = packed({**CONTENTS, "database.dump": dump})
    assert archive.unpack(io.BytesIO(data), out) == manifest()
    for name, content in CONTENTS.items():
        assert (out / name).read_bytes() == content
        assert stat.S_IMODE((out / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((out / "certs").stat().st_mode) == 0o700


def test_the_manifest_comes_first() -> None:
    """Who looks into a large backup need not read all of it."""
    with tarfile.open(fileobj=io.BytesIO(packed())) as made:
        assert made.getnames()[0] == "manifest.json"


def test_a_cut_backup_is_refused_wherever_it_was_cut() -> None:
    """A disk that filled up, a broken transfer."""
    data = packed()
    # Tar pads its end with zeroes, which nobody misses.
    end = len(data.rstrip(b"\0"))
    for length in (0, 1, 511, 512, 700, 1024, 2048, end // 2, end - 512, end - 1):
        assert refused(data[:length]), length


def test_a_changed_byte_is_found() -> None:
    """In the content of any member."""
    for name, content in CONTENTS.items():
        data = packed()
        at = data.rindex(bytes(content) if isinstance(content, bytes) else b"")
        broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert name in refused(broken)


def test_a_newer_format_names_the_version_to_install() -> None:
    """It is no damage."""
    raw = {"format": 2, "walletsvc": "9.0", "news": True}
    assert "9.0" in refused(tar(("manifest.json", orjson.dumps(raw))))


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"{}", b'{"format": 1}', b'{"format": "x"}', b"\xff" * 10]
)
def test_a_damaged_manifest_is_refused(raw: bytes) -> None:
    """Never a traceback."""
    assert "manifest.json" in refused(tar(("manifest.json", raw)))


def test_something_else_is_no_backup(tmp_path: Path) -> None:
    """A text, nothing at all, another tar."""
    for data in (b"# a text\n" * 200, b"", tar(("a", b"b")), tar(("database.dump", b"x"))):
        assert "backup" in refused(data)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "certs/../../x", "certs/", "certs/.hidden", "certs//x", "other", "..", "",
     "certs/a\\b", "certs/a\0b"],
)  # fmt: skip
def test_a_member_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    """Whatever the manifest says, nothing is written outside the folder."""
    raw = orjson.loads(manifest().model_dump_json())
    raw["members"] = [{"name": name, "size": 1, "sha256": archive.describe(
        "secret_key", b"x").sha256}]  # fmt: skip
    data = tar(("manifest.json", orjson.dumps(raw)), (name.replace("\0", "") or "x", b"x"))
    assert refused(data, tmp_path)
    assert list(tmp_path.rglob("*")) == []


def test_what_was_not_announced_is_refused(tmp_path: Path) -> None:
    """A further file, the same file twice, a link in the place of a file."""
    raw = manifest({"secret_key": b"s"}).model_dump_json().encode()
    for extra in (("certs/x", b"y"), ("secret_key", b"s")):
        assert "unannounced" in refused(tar(("manifest.json", raw), ("secret_key", b"s"), extra))
    stream = io.BytesIO(tar(("manifest.json", raw)))
    with tarfile.open(fileobj=stream, mode="a") as made:
        link = tarfile.TarInfo("secret_key")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    assert "unannounced" in refused(stream.getvalue(), tmp_path)


def test_a_missing_member_is_named() -> None:
    """Announced, and not there."""
    raw = manifest({"secret_key": b"s"}).model_dump_json().encode()
    assert "secret_key" in refused(tar(("manifest.json", raw)))
