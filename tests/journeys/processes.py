"""The real command in processes of its own, on free ports and a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import requests

START_SECONDS = 120


def free_port(count: int = 1) -> int:
    """The first of so many neighbouring ports, all below the range that clients are given, so
    that nobody takes them meanwhile: each process of the tests has a range of its own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    first = 20_000 + worker * 1_500
    for port in range(first + os.getpid() % 1_000, first + 1_500 - count):
        with ExitStack() as stack:
            probes = [stack.enter_context(socket.socket()) for _ in range(count)]
            try:
                for number, probe in enumerate(probes):
                    probe.bind(("127.0.0.1", port + number))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def environment(folder: Path, **settings: object) -> dict[str, str]:
    """The environment of a clean machine with these settings."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("WALLETSVC_")}
    env["WALLETSVC_DATA_DIR"] = str(folder)
    env.update({f"WALLETSVC_{name.upper()}": str(value) for name, value in settings.items()})
    return env


def command(*words: str) -> list[str]:
    """The command line of the program under test."""
    return [sys.executable, "-m", "walletsvc", *words]


def run(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(*words), env=env, capture_output=True, text=True, timeout=START_SECONDS
    )


def start(env: dict[str, str], *words: str) -> subprocess.Popen[str]:
    """Start a command in a session of its own."""
    return subprocess.Popen(
        command(*words),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_until_ready(url: str, other_than: int = 0) -> None:
    """Wait until the installation says that it can do its work, with another database server
    than the killed one, whose process must be gone."""
    while other_than and Path(f"/proc/{other_than}/cmdline").exists():
        time.sleep(0.05)
    deadline = time.monotonic() + START_SECONDS
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            answer = requests.get(f"{url}/readyz", timeout=2)
        except requests.RequestException as error:
            last = str(error)
        else:
            last = answer.text
            # Nobody has issued certificates to a bare installation; workers must be there.
            if "Nobody" not in last and answer.status_code in (200, 503):
                return
        time.sleep(0.1)
    raise AssertionError(f"not ready: {last}")


def wait_until_up(process: subprocess.Popen[str]) -> None:
    """Wait until `up` says that all of it works."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "answers at" in line:
            return
    raise AssertionError(f"it ended instead: {''.join(said)}")


def members_of(folder: Path) -> list[int]:
    """The processes that were started with this data directory, by their environment."""
    wanted = f"WALLETSVC_DATA_DIR={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                continue
    return found


def wait_until_gone(folder: Path, seconds: float = 30) -> None:
    """Wait until no process of the installation is left."""
    deadline = time.monotonic() + seconds
    while left := members_of(folder):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.1)


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> int:
    """Signal a process and wait for its end; its exit code."""
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    if process.returncode:
        print(output)  # what a failing test shows
    return process.returncode
