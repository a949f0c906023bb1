"""The demo's folder and settings, without its shop: whose they are, and what other shells learn."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from unittest.mock import patch

import pytest

from walletsvc.cli.demo import command
from walletsvc.cli.demo.introduction import SETTINGS_FILE
from walletsvc.settings import PREFIX, load


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path) -> Path:
    """Where a demo of an earlier release lived: open to everybody."""
    folder = tmp_path / "it's" / "demo"
    folder.mkdir(parents=True, mode=0o755)
    folder.chmod(0o755)
    return folder


def test_the_folder_is_its_owners_alone(folder: Path) -> None:
    """There are keys in it; what lies in it cannot be reached by others either."""
    with patch.dict(os.environ):
        command._become_demo(load(), folder, free_ports=True)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in (SETTINGS_FILE, "emulators/google-key.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_another_shell_means_the_same_installation(folder: Path) -> None:
    """With its emulators: `walletsvc doctor` would say false things of Google and Apple."""
    with patch.dict(os.environ):
        command._become_demo(load(), folder, free_ports=True)
        ours = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
        meant = load()
    said = subprocess.run(
        ["sh", "-c", '. "$0" && env', str(folder / SETTINGS_FILE)],
        env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    theirs = dict(line.split("=", 1) for line in said.splitlines() if line.startswith(PREFIX))
    assert theirs == ours
    google = f"http://127.0.0.1:{meant.emulator_port + 2}"
    assert (meant.google_url, meant.google_pay_url) == (google, google)
    assert meant.google_issuer_id
    assert meant.google_key is not None
    assert meant.apns_url == f"https://127.0.0.1:{meant.emulator_port}"
    assert meant.data_dir == folder
