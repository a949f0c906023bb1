"""Other processes that use an embedded server, and looks from outside at what they do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from walletsvc.storage.embedded.cluster import Cluster

FAST = {"fsync": "off"}
ROOT = os.geteuid() == 0
AS_ORDINARY_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if ROOT else []

# Waits for a line, starts the server, says when it was started, then stops it at end of input.
USER = """
import sys
from pathlib import Path
import psycopg
from walletsvc.core.errors import ConfigurationError
from walletsvc.storage.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), {"fsync": "off"})
print("waiting", flush=True)
sys.stdin.readline()
try:
    with psycopg.connect(server.start()) as connection:
        print(connection.execute("SELECT pg_postmaster_start_time()").fetchone()[0], flush=True)
except ConfigurationError as error:
    sys.exit(f"refused: {error.detail}")
sys.stdin.read()
server.stop()
"""


class User:
    """Another process that uses the server in a folder."""

    def __init__(self, folder: Path, *prefix: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", USER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def go(self) -> None:
        """Let it start the server; `line()` then tells since when that runs."""
        assert self.line() == "waiting"
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def leave(self) -> str:
        """Let it stop using the server and end; what it complained about."""
        _, complaint = self.process.communicate(timeout=30)
        return complaint

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def servers(folder: Path) -> set[int]:
    """The PostgreSQL processes at work in a folder."""
    return Cluster(folder, {}).processes()


def postmaster(folder: Path) -> int:
    return int((folder / "data/postmaster.pid").read_text().splitlines()[0])


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def query(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None
