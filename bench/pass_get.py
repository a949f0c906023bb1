"""GET of a pass through Granian: requests per second and core, over raw RSA-2048 signatures.

Every answer is a pass built and signed for the request, of a member of its own, so that
nothing can be served from a cache. Requests are counted per second of processor time of the
web server, as the signatures are; the database and the client have the other core. A second
figure asks at half of the rate reached, evenly spaced, and takes the time of every answer.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pycurl
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from sqlalchemy import text

from bench import Result
from bench.pushing import PASS_TYPE, free_port, seed
from walletsvc import settings
from walletsvc.app import Installation, open_installation
from walletsvc.cli.run import command_line, environment
from walletsvc.jobs.changes import Lane

NAME = "pass_get"

_MEMBERS = 2_000
_CONNECTIONS = 16
_WARM_UP_SECONDS = 2.0
_SECONDS = 12.0
_PACED_SECONDS = 12.0
_P99_LIMIT_MS = 50.0
_TICKS = os.sysconf("SC_CLK_TCK")


def run() -> dict[str, Result]:
    """The rate at full load, and the slowest percent of answers at half of it."""
    with _web() as server:
        before = _raw_rate()
        server.ask(_WARM_UP_SECONDS)
        started = server.processor_seconds()
        full = server.ask(_SECONDS)
        per_core = len(full) / (server.processor_seconds() - started)
        after = _raw_rate()
        paced = server.ask(_PACED_SECONDS, rate=len(full) / _SECONDS / 2)
    p99 = sorted(paced)[int(len(paced) * 0.99)] * 1000
    print(
        f"{len(full) / _SECONDS:.0f} requests/s by the clock with {_CONNECTIONS} connections;"
        f" half of it: median {sorted(paced)[len(paced) // 2] * 1000:.1f} ms, p99 {p99:.1f} ms"
    )
    return {
        NAME: Result(per_core, "requests/s/core", (before + after) / 2),
        f"{NAME}_p99": Result(p99, "ms", _P99_LIMIT_MS, lower_is_better=True),
    }


def _raw_rate(seconds: float = 2.0) -> float:
    """Raw signatures per second of processor time."""
    key = rsa.generate_private_key(65537, 2048)
    manifest = b"m" * 1_000
    count = 0
    started = time.process_time()
    while time.process_time() - started < seconds:
        key.sign(manifest, PKCS1v15(), hashes.SHA256())
        count += 1
    return count / (time.process_time() - started)


@dataclass(frozen=True)
class _Server:
    """A running web process, and whose passes can be asked for."""

    url: str
    serials: list[str]
    process: subprocess.Popen[bytes]

    def processor_seconds(self) -> float:
        """Processor time of the server and of the workers it forked."""
        return family_seconds(self.process.pid)

    def ask(self, seconds: float, rate: float | None = None) -> list[float]:
        """GET passes for so long, over kept connections; the seconds each answer took.

        With a `rate` requests are due at even distances, and an answer's time counts from
        when it was due; without, each connection asks again as soon as it was answered.
        """
        multi = pycurl.CurlMulti()
        idle = [self._handle() for _ in range(_CONNECTIONS if rate is None else 64)]
        due_at: dict[pycurl.Curl, float] = {}
        times: list[float] = []
        began = time.monotonic()
        asked = 0
        while (now := time.monotonic()) < began + seconds or due_at:
            while idle and now < began + seconds:
                due = now if rate is None else began + asked / rate
                if due > now:
                    break
                curl = idle.pop()
                serial = self.serials[asked % len(self.serials)]
                curl.setopt(pycurl.URL, f"{self.url}/apple/v1/passes/{PASS_TYPE}/{serial}")
                due_at[curl] = due
                multi.add_handle(curl)
                asked += 1
            multi.perform()
            for curl in _finished(multi):
                times.append(time.monotonic() - due_at.pop(curl))
                idle.append(curl)
            pause = 0.05 if rate is None else max(0.0, began + asked / rate - time.monotonic())
            multi.select(min(pause, max(multi.timeout(), 0) / 1000, 0.05))
        multi.close()
        return times

    @staticmethod
    def _handle() -> pycurl.Curl:
        curl = pycurl.Curl()
        curl.setopt(pycurl.HTTPHEADER, [f"Authorization: ApplePass {'a' * 32}"])
        curl.setopt(pycurl.WRITEFUNCTION, len)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.FAILONERROR, 1)
        return curl


def _finished(multi: pycurl.CurlMulti) -> list[pycurl.Curl]:
    found: list[pycurl.Curl] = []
    more = 1
    while more:
        more, done, failed = multi.info_read()
        if failed:
            raise RuntimeError(f"The server does not answer: {failed[0][2]}")
        for curl in done:
            if curl.getinfo(pycurl.RESPONSE_CODE) != 200:
                raise RuntimeError(f"The server answered {curl.getinfo(pycurl.RESPONSE_CODE)}.")
            multi.remove_handle(curl)
        found += done
    return found


@contextmanager
def _web() -> Iterator[_Server]:
    """A shop whose members' passes are published, and a web process that serves them."""
    with tempfile.TemporaryDirectory(prefix="walletsvc-bench-") as folder:
        port = free_port()
        values = {
            "database_url": None,
            "data_dir": Path(folder),
            "port": port,
            "log_level": "warning",
        }
        with open_installation(settings.load(**values)) as installation:
            serials = _publish(installation)
            process = subprocess.Popen(command_line("web"), env=environment(**values))
            try:
                url = f"http://127.0.0.1:{port}"
                await_answer(f"{url}/healthz")
                yield _Server(url, serials, process)
            finally:
                process.terminate()
                process.wait(timeout=30)


def _publish(installation: Installation) -> list[str]:
    """Make members and publish their passes as they are; their serial numbers."""
    seed(installation, _MEMBERS)
    now = installation.clock()
    with installation.database.write_tx() as session:
        ids = session.execute(text("SELECT id FROM passes")).scalars().all()
        installation.publisher.publish(session, ids, lane=Lane.BULK, now=now)
        return list(session.execute(text("SELECT serial FROM passes")).scalars())


def await_answer(url: str) -> None:
    """Wait until a server answers with success."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=1).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise RuntimeError("The web process did not start.")


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += _family(int(child))
    return found


def family_seconds(pid: int) -> float:
    """Processor time of a process and of what it started."""
    return sum(_processor_seconds(each) for each in _family(pid))


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
