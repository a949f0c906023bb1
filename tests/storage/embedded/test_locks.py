"""One process at a time, and no lock outlives its holder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from walletsvc.core.errors import ConfigurationError
from walletsvc.storage.embedded import exclusive

HOLDER = """
import sys
from pathlib import Path
from walletsvc.core.errors import ConfigurationError
from walletsvc.storage.embedded import exclusive
try:
    with exclusive(Path(sys.argv[1]), "up"):
        print("held", flush=True)
        sys.stdin.read()
except ConfigurationError as error:
    sys.exit(error.detail)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_second_start_is_one_clear_line(tmp_path: Path) -> None:
    """Who comes second is told where and by whom; another name and the time after are free."""
    folder = tmp_path / "var"
    with exclusive(folder, "up"):
        _, complaint = holder(folder).communicate()
        assert complaint == (
            f"another walletsvc is already running on {folder} (pid {os.getpid()})\n"
        )
        with exclusive(folder, "demo"):
            pass
        with pytest.raises(ConfigurationError), exclusive(folder, "up"):
            pytest.fail("held twice")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_permissions_of_an_existing_folder_are_left_alone(tmp_path: Path) -> None:
    """The data directory may be one that other programs use too."""
    tmp_path.chmod(0o755)
    with exclusive(tmp_path, "up"):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
        assert stat.S_IMODE((tmp_path / "up.lock").stat().st_mode) == 0o600


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    """The kernel forgets the dead: the next start after SIGKILL is not refused."""
    with holder(tmp_path) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(ConfigurationError, match=rf"\(pid {other.pid}\)$"),
            exclusive(tmp_path, "up"),
        ):
            pytest.fail("held twice")
        other.kill()
        other.wait()
    with exclusive(tmp_path, "up"):
        pass


def test_children_do_not_hold_it(tmp_path: Path) -> None:
    """A child that was started under the lock, and lives on, keeps nobody out."""
    with exclusive(tmp_path, "up"):
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    with exclusive(tmp_path, "up"):
        pass
    child.communicate()


def test_an_unwritable_folder_is_one_clear_line(tmp_path: Path) -> None:
    """The line names the setting and the place."""
    (tmp_path / "up.lock").mkdir()
    for folder in (tmp_path, Path("/proc/x/y")):
        with (
            pytest.raises(ConfigurationError, match=r"^WALLETSVC_DATA_DIR: /.* cannot be "),
            exclusive(folder, "up"),
        ):
            pytest.fail("held")
