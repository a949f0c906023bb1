"""What keeps the embedded PostgreSQL from starting is said in one clear line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.storage.embedded.helpers import (
    AS_ORDINARY_USER,
    FAST,
    ROOT,
    User,
    query,
)
from walletsvc.core.errors import ConfigurationError
from walletsvc.storage.embedded import EmbeddedServer


def test_root_without_user_namespaces_is_told_what_to_do(folder: Path) -> None:
    """Where `unshare` is not to be had, root gets one clear line and others do not care."""
    user = User(folder, env={**os.environ, "PATH": "/nonexistent"})
    user.go()
    started = user.line() != ""
    complaint = user.leave()
    assert started is not ROOT
    assert ("run walletsvc as an ordinary user or set WALLETSVC_DATABASE_URL" in complaint) is ROOT


def test_another_users_folder_is_refused(folder: Path) -> None:
    """A folder of somebody else is not touched; the line names its owner."""
    closed = Path("/proc/1") if not ROOT else folder
    if ROOT:
        os.chown(folder, 12345, 12345)
    user = User(closed, *AS_ORDINARY_USER)
    user.go()
    complaint = user.leave()
    if ROOT:
        os.chown(folder, 0, 0)
    assert complaint.startswith(f"refused: WALLETSVC_DATA_DIR: {closed} ")
    assert len(complaint.splitlines()) == 1


def test_an_unwritable_place_is_one_clear_line(folder: Path, tmp_path: Path) -> None:
    """A parent that may not be written, for lack of permission or of a disk behind it."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    user = User(closed / "postgres", *AS_ORDINARY_USER)
    user.go()
    assert user.leave() == (
        f"refused: WALLETSVC_DATA_DIR: {closed}/postgres cannot be used: Permission denied.\n"
    )
    with pytest.raises(ConfigurationError, match=r"^WALLETSVC_DATA_DIR: /proc/x/y cannot be used"):
        EmbeddedServer(Path("/proc/x/y")).start()


@pytest.mark.parametrize(
    ("spoilt", "content", "line"),
    [
        ("data/PG_VERSION", "16\n", r"was written by PostgreSQL 16, this release brings 18: "),
        ("data/PG_VERSION", None, r"holds something else than a database\.$"),
        ("data/global/pg_control", None, r"could not open file .*pg_control"),
        ("users.lock/x", "", r"users.lock cannot be used: Is a directory\.$"),
    ],
)
def test_what_is_no_database_of_ours_is_one_clear_line(
    folder: Path, spoilt: str, content: str | None, line: str
) -> None:
    """Each error names WALLETSVC_DATA_DIR and the folder; once mended, the start succeeds."""
    path = folder / spoilt
    if path.parent.name == "users.lock":
        path.parent.unlink()
        path.parent.mkdir()
    good = path.read_bytes() if path.exists() else None
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=line) as caught:
        EmbeddedServer(folder, FAST).start()
    assert caught.value.detail.startswith("WALLETSVC_DATA_DIR: ")
    assert str(folder) in caught.value.detail
    assert "\n" not in caught.value.detail
    if good is None:
        shutil.rmtree(path.parent)
    else:
        path.write_bytes(good)
    with EmbeddedServer(folder, FAST) as server:
        assert query(server.start(), "SELECT 1") == 1


def test_a_file_in_the_way_is_one_clear_line(tmp_path: Path) -> None:
    """Where the folder should be is a file."""
    file = tmp_path / "file"
    file.touch()
    for path, reason in ((file, "is not a directory"), (file / "postgres", "cannot be used: Not")):
        with pytest.raises(ConfigurationError, match=f"^WALLETSVC_DATA_DIR: {path} {reason}"):
            EmbeddedServer(path).start()


def test_a_failed_start_quotes_the_servers_own_reason(folder: Path) -> None:
    """The log's last meaningful line is the message, and the next start is not hindered."""
    with pytest.raises(ConfigurationError) as caught:
        EmbeddedServer(folder, {"shared_buffers": "a lot"}).start()
    assert caught.value.detail == (
        f"WALLETSVC_DATA_DIR: PostgreSQL does not start in {folder}: "
        'invalid value for parameter "shared_buffers": "a lot"'
    )
    with EmbeddedServer(folder, FAST) as server:
        assert query(server.start(), "SELECT 1") == 1
