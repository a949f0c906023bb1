"""Starting and stopping: what stops an installation is said in one line; nothing gets stuck."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest
import requests

from tests.journeys import processes
from walletsvc.cli.main import main


def one_line(env: dict[str, str], *words: str) -> str:
    """The one line a command that cannot start writes."""
    result = processes.run(env, *words)
    assert result.returncode == 1, result.stdout + result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """Which port, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = one_line(processes.environment(tmp_path, port=port), "up")
    assert str(port) in line
    assert "WALLETSVC_PORT" in line


def test_an_unwritable_data_directory_is_named(tmp_path: Path) -> None:
    """Which folder, and which setting."""
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "data"
    line = one_line(processes.environment(folder), "up")
    assert str(folder) in line
    assert "WALLETSVC_DATA_DIR" in line


def test_an_unreachable_database_is_named(tmp_path: Path) -> None:
    """The setting and the database's own words, without the password."""
    url = "postgresql://walletsvc:pa55word@127.0.0.1:1/walletsvc"
    port = processes.free_port()
    line = one_line(processes.environment(tmp_path, database_url=url, port=port), "up")
    assert "WALLETSVC_DATABASE_URL" in line
    assert "pa55word" not in line


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("PORT", "eighty"),
        ("PUBLIC_URL", "http://cards.example.com"),
        ("SECRET_KEY", "short"),
        ("DATABASE_URL", "mysql://x/y"),
        ("DATABASE_URL", "postgresql://u:pw@127.0.0.1:abc/x"),
        ("PROT", "8000"),
    ],
)
def test_a_bad_setting_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    setting: str,
    value: str,
) -> None:
    """By its variable, misspelt ones included. In this process: what a command of its own does
    with an error is seen above."""
    monkeypatch.setattr(os, "environ", processes.environment(tmp_path, **{setting: value}))
    monkeypatch.setattr(sys, "argv", ["walletsvc", "migrate"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"WALLETSVC_{setting}" in line


def test_whatever_is_killed_comes_back(tmp_path: Path) -> None:
    """One `up` per data directory. After SIGKILL of it everything ends, and it starts again;
    SIGKILL of PostgreSQL costs seconds, not a restart by hand, and `up` still ends in order."""
    port = processes.free_port()
    env = processes.environment(tmp_path, port=port)
    first = processes.start(env, "up")
    try:
        processes.wait_until_up(first)
        assert "already running" in one_line(env, "up")
        first.kill()
        first.communicate(timeout=30)
        # The idle database server may outlive them: the next start joins it.
        second = processes.start(env, "up")
        try:
            processes.wait_until_up(second)
            (pid_file,) = tmp_path.rglob("postmaster.pid")
            postmaster = int(pid_file.read_text().splitlines()[0])
            os.kill(postmaster, signal.SIGKILL)
            processes.wait_until_ready(f"http://127.0.0.1:{port}", other_than=postmaster)
            assert second.poll() is None
        finally:
            assert processes.end(second, signal.SIGINT) == 0
    finally:
        first.kill()
    processes.wait_until_gone(tmp_path)


def test_the_demo_check_plays_its_story_and_leaves_nothing(tmp_path: Path) -> None:
    """From nothing to a phone that follows its balance; no process and no file stays."""
    result = processes.run(processes.environment(tmp_path), "demo", "--check")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the books" in result.stdout
    assert result.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_demo_whose_story_stops_is_served_all_the_same(tmp_path: Path) -> None:
    """Somebody changed the shop; it says what failed and how to begin anew."""
    port = processes.free_port(6)
    env = processes.environment(tmp_path, port=port, emulator_port=port + 1)
    running = processes.start(env, "demo")
    url = f"http://127.0.0.1:{port}"
    said = ""
    try:
        assert running.stdout is not None
        for line in running.stdout:
            said += line
            if found := re.search(r"Its key, all scopes +(\S+)", line):
                _verified_only(url, found[1])
            if "Serving." in line:
                break
        assert "The story stops here: POST /" in said
        assert f"To begin anew: rm -r {tmp_path / 'demo'}\n" in said
        assert requests.get(f"{url}/healthz", timeout=5).status_code == 200
    finally:
        assert processes.end(running, signal.SIGINT) == 0, said
    processes.wait_until_gone(tmp_path / "demo")


def _verified_only(url: str, key: str) -> None:
    """Before the story comes to a till: cards bring nothing any more."""
    address = f"{url}/api/v1/programmes/nordshore/enrolment"
    headers = {"Authorization": f"Bearer {key}"}
    told = requests.get(address, headers=headers, timeout=5).json()
    wanted = {name: told[name] for name in told if name not in ("programme", "join_url")}
    answer = requests.put(
        address, headers=headers, json=wanted | {"verified_only": True}, timeout=5
    )
    assert answer.status_code == 200, answer.text
