"""One PostgreSQL data directory: making it, starting and stopping the server that works in it.

Nothing here locks; `server.EmbeddedServer` makes sure that one process at a time calls it.

    <folder>/data        the data directory proper
    <folder>/server.log  what the server writes
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from psycopg import pq

from walletsvc.core.errors import ConfigurationError
from walletsvc.storage.embedded import binaries, sockets
from walletsvc.storage.embedded.memory import shared_buffers

_LOG: Final = "server.log"
_LOG_BYTES: Final = 8 * 1024 * 1024
_STOP_SECONDS: Final = 60
_INITDB: Final = (
    "--username=postgres",
    "--auth-local=trust",  # whoever can enter the folder (0700) owns the files anyway
    "--auth-host=reject",
    "--encoding=UTF8",
    "--locale=C",
    # Neither ICU nor a Russian locale comes with the binaries; this one knows Cyrillic letters.
    "--locale-provider=builtin",
    "--builtin-locale=PG_UNICODE_FAST",
    "--no-instructions",
)
_SETTINGS: Final = {
    "cluster_name": "walletsvc",
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(sockets.PORT),
    "max_connections": "200",
    # Plans are kept for each connection. Those made when a shop opens read whole tables, for all
    # are small, and are made anew once a table is analysed: not a whole minute later.
    "autovacuum_naptime": "10s",
    # In return a table may grow by more before it is analysed again: with the usual tenth that took
    # a tenth of the server's time while it sold.
    "autovacuum_analyze_scale_factor": "0.2",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Statements and DETAIL lines carry customers' names and phones: they stay out of the log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


class Cluster:
    """The data directory in `folder`; `settings` override those of the server."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._settings = {"shared_buffers": shared_buffers(), **_SETTINGS, **settings}

    def initialise(self) -> None:
        """Make the data directory unless it is there.

        It is made under another name and renamed when complete, so that a killed attempt leaves
        nothing that looks like data. Raises ConfigurationError when what is there is not ours,
        was written by another major version, or when there is no room.
        """
        if self._exists():
            return
        for leftover in self.folder.glob("data.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix="data.new-", dir=self.folder))
        try:
            owner = self.folder.stat()
            if os.geteuid() == 0 and owner.st_uid:
                os.chown(fresh, owner.st_uid, owner.st_gid)
            sync = ("--no-sync",) if self._settings.get("fsync") == "off" else ()
            status, output = binaries.run("initdb", *_INITDB, *sync, fresh.name, cwd=self.folder)
            if status:
                raise ConfigurationError(
                    f"WALLETSVC_DATA_DIR: no database can be made in {self.folder}: "
                    f"{_last_meaningful(output)}"
                )
            fresh.rename(self.data)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        _sync(self.folder)

    def _exists(self) -> bool:
        try:
            version = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError as error:
            if self.data.exists() and any(self.data.iterdir()):
                raise ConfigurationError(
                    f"WALLETSVC_DATA_DIR: {self.data} holds something else than a database."
                ) from error
            return False
        if version != str(binaries.MAJOR):
            raise ConfigurationError(
                f"WALLETSVC_DATA_DIR: {self.data} was written by PostgreSQL {version}, this "
                f"release brings {binaries.MAJOR}: restore a backup into an empty directory, "
                "or set WALLETSVC_DATABASE_URL."
            )
        return True

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def noted_pid(self) -> int | None:
        """The pid in the server's pid file, which outlives a killed server."""
        lines = self._pid_file()
        # A server without clients' processes (`postgres --single`) notes its pid negatively.
        return abs(int(lines[0])) if lines and lines[0].lstrip("-").isdigit() else None

    def socket_folder(self) -> Path | None:
        """Where the noted server listens; None before it has said so."""
        lines = self._pid_file()
        return Path(lines[4]) if len(lines) > 4 and lines[4] else None

    def answers(self) -> bool:
        """Whether a server accepts connections here."""
        socket_folder = self.socket_folder()
        if socket_folder is None:
            return False
        address = sockets.url(socket_folder, "postgres") + "&connect_timeout=5"
        return pq.PGconn.ping(address.encode()) == pq.Ping.OK

    def processes(self) -> set[int]:
        """The pids of the PostgreSQL processes that work in the data directory."""
        if not Path("/proc/self").exists():
            return self._processes_by_lsof()
        data = self.data.stat()
        found = set()
        for entry in Path("/proc").iterdir():
            try:
                # A shell that somebody left in the folder is no server.
                if entry.name.isdigit() and (entry / "comm").read_bytes() == b"postgres\n":
                    place = (entry / "cwd").stat()
                    if (place.st_dev, place.st_ino) == (data.st_dev, data.st_ino):
                        found.add(int(entry.name))
            except OSError:
                continue  # gone meanwhile, or another user's
        return found

    def _processes_by_lsof(self) -> set[int]:
        """The same where there is no /proc (macOS)."""
        command = ["lsof", "-w", "-t", "-a", "-c", "postgres", "-d", "cwd", str(self.data)]
        listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return {int(pid) for pid in listed.split()}

    def dismiss_orphans(self) -> None:
        """Ask what a killed server left behind to quit; PostgreSQL starts only without them."""
        noted, working = self.noted_pid(), self.processes()
        if noted is not None and noted not in working:
            for pid in working:
                try:
                    os.kill(pid, signal.SIGQUIT)
                except ProcessLookupError:
                    continue

    def launch(self, timeout: float) -> None:
        """Start the server where no process works in the data directory.

        The pid file found there is stale, even when another program has that pid by now.
        Returns when it answers, after `timeout` seconds, or when another server was faster; raises
        ConfigurationError with the reason that the log gives.
        """
        if noted := self.socket_folder():
            sockets.discard(noted, self.folder)
        socket_folder = sockets.choose_folder(self.folder)
        sockets.clear(socket_folder)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        log = self.folder / _LOG
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            log.rename(self.folder / f"{_LOG}.1")
        start_of_report = log.stat().st_size if log.exists() else 0
        settings = {**self._settings, "unix_socket_directories": str(socket_folder)}
        # A shell reads these options; the folder itself stays out of its sight (relative names).
        options = " ".join(f"-c {shlex.quote(f'{k}={v}')}" for k, v in settings.items())
        status, output = binaries.run(
            *("pg_ctl", "start", "--wait", f"--timeout={max(1, int(timeout))}"),
            *("--pgdata=data", f"--log={_LOG}", f"--options={options}"),
            cwd=self.folder,
        )
        if status and not self.processes():
            report = log.read_bytes()[start_of_report:].decode(errors="replace")
            raise ConfigurationError(
                f"WALLETSVC_DATA_DIR: PostgreSQL does not start in {self.folder}: "
                f"{_last_meaningful(report) or _last_meaningful(output)}"
            )

    def shut_down(self) -> bool:
        """Stop the server: connections are cut, everything is written. False: it did not stop.

        The pid file alone is not believed: its number may be another program's by now.
        """
        noted = self.noted_pid()
        if noted is None or noted not in self.processes():
            return True
        socket_folder = self.socket_folder()
        status, _ = binaries.run(
            *("pg_ctl", "stop", "--wait", "--mode=fast", f"--timeout={_STOP_SECONDS}"),
            "--pgdata=data",
            cwd=self.folder,
        )
        if status == 0 and socket_folder is not None:
            sockets.discard(socket_folder, self.folder)
        return status == 0


def _last_meaningful(report: str) -> str:
    """The line of a log that says what went wrong, without time and process."""
    lines = [line.strip() for line in report.splitlines() if line.strip()]
    grave = [line for line in lines if any(word in line for word in ("FATAL:", "PANIC:", "rror:"))]
    line = (grave or lines or [""])[-1]
    for word in ("FATAL:", "PANIC:", "rror:"):
        line = line.rpartition(word)[2].strip()
    return line


def _sync(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
