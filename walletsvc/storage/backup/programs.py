"""PostgreSQL's own client programs, told where the database is by their environment.

An argument list is for everybody to read (`ps`), an environment only for the same user: the
password travels in PGPASSWORD.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final

from psycopg import pq

from walletsvc.core.errors import ConfigurationError
from walletsvc.settings import PREFIX
from walletsvc.storage.embedded import binaries

_POLL_SECONDS: Final = 0.5


def environment(conninfo: str) -> dict[str, str]:
    """This process's environment without our settings, with the database's address in it.

    Raises ConfigurationError for a part of the address that only arguments could carry.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    env["LC_ALL"] = "C"
    for option in pq.Conninfo.parse(conninfo.encode()):
        if option.val is None:
            continue
        if option.envvar is None:
            raise ConfigurationError(
                f"WALLETSVC_DATABASE_URL: '{option.keyword.decode()}' cannot be handed to "
                "pg_dump in secret; leave it out of the address."
            )
        env[option.envvar.decode()] = option.val.decode()
    return env


class Program:
    """A running program; what it complains about is kept for the error."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
        self.name = name
        self.process = process
        self._complaints = complaints

    @property
    def stdin(self) -> IO[bytes]:
        """What it reads, where that was asked for."""
        assert self.process.stdin is not None  # noqa: S101 - for the type checker
        return self.process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """What it writes, where that was asked for."""
        assert self.process.stdout is not None  # noqa: S101 - for the type checker
        return self.process.stdout

    def ended(self) -> bool:
        """Whether it ended; waits half a second for that."""
        try:
            self.process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True

    def check(self) -> None:
        """Wait for its end; raises ConfigurationError with its own words when it failed."""
        if self.process.wait() == 0:
            return
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").splitlines()
        lines = [line.strip() for line in said if line.strip()]
        grave = [line for line in lines if "ERROR:" in line or "error:" in line]
        reason = (grave or lines or [f"exit code {self.process.returncode}"])[0]
        for word in ("ERROR:", f"{self.name}: error:"):
            reason = reason.rpartition(word)[2].strip()
        raise ConfigurationError(f"{self.name} failed: {reason}")


@contextmanager
def running(
    name: str,
    *arguments: str,
    conninfo: str | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> Iterator[Program]:
    """Run a program for a block; one that still runs at its end is killed.

    A session of its own keeps the terminal's Ctrl-C away: it is ours to say what happens then.
    """
    options: dict[str, Any] = {"stdin": stdin, "stdout": stdout, "start_new_session": True}
    env = environment(conninfo or "")
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            [str(binaries.program(name)), *arguments], env=env, stderr=complaints, **options
        )
        try:
            yield Program(name, process, complaints)
        finally:
            if process.poll() is None:
                process.kill()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    _close(stream)
            process.wait()


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        return  # it died before it read everything: `check` says why
